"""Finding tools by words, for keys whose catalogue is too large for a model's context. PostgreSQL finds and ranks."""

import re
from typing import Any

from django.db import connection

from observatory.discovery import entries_of
from tools.snapshot import KeyView, Snapshot

MOST_WORDS, LONGEST_WORD, DESCRIBED_BY = 32, 64, 10_000
TOLD = ("name", "title", "description", "input_schema", "annotations", "gate")
_WORD = re.compile(r"[^\W_]+")
# Each word by its stem and as a beginning; a query without any word that says something finds the first by name.
_SEARCH = """
WITH wanted AS (SELECT to_tsquery('english', %s) AS query),
     visible AS (
         SELECT tool.name,
                setweight(to_tsvector('english', translate(tool.name, '._-', '   ')), 'A')
                || setweight(to_tsvector('english', version.title), 'B')
                || setweight(to_tsvector('english', left(version.description, %s)), 'C') AS words
         FROM tools_tool tool JOIN tools_toolversion version ON version.id = tool.current_version_id
         WHERE tool.name = ANY(%s)
     )
SELECT name FROM visible, wanted
WHERE numnode(query) = 0 OR words @@ query
ORDER BY ts_rank(words, query) DESC, name
LIMIT %s
"""


def is_searched(key: KeyView, snapshot: Snapshot) -> bool:
    """The key's policy has its tools found by search instead of listed."""
    policy = snapshot.policy_of(key)
    return policy is not None and policy.program is not None and policy.program.tool_search


def found_tools(query: str, limit: int, key: KeyView, snapshot: Snapshot) -> list[dict[str, Any]]:
    """At most `limit` tools that this key may see, the best first; a two-phase tool's phases follow it."""
    visible = {tool.name: tool for tool in snapshot.tools_for(key)}
    words = [word[:LONGEST_WORD] for word in _WORD.findall(query)[:MOST_WORDS]]
    wanted = " | ".join(f"'{word}':*" for word in words)
    with connection.cursor() as cursor:
        cursor.execute(_SEARCH, [wanted, DESCRIBED_BY, list(visible), limit])
        names = [name for (name,) in cursor.fetchall()]
    entries = [entry for name in names for entry in entries_of(visible[name], key, snapshot)]
    return [{part: entry[part] for part in TOLD} for entry in entries]
