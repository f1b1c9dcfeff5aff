"""What is ordinary in honest tools, and still worth a look."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tools.upstreams.checks.finding import Finding, found, quoted
from tools.upstreams.checks.texts import Role, texts_of

LONG_DESCRIPTION = 3_000
_LINK = re.compile(r"(?:https?|ftp|wss?)://(?!(?:[\w.-]*\.)?example\.)[^\s)>\]\"'`]{4,}")


def check(declaration: Mapping[str, Any]) -> Iterator[Finding]:
    description = declaration.get("description")
    if isinstance(description, str) and len(description) > LONG_DESCRIPTION:
        detail = f"{len(description)} characters: each agent that sees the tool pays for them, few people read them."
        yield found("long_description", "description", detail, blocking=False)
    for text in texts_of(declaration):
        if text.role is Role.PROSE and (link := _LINK.search(text.text)):
            detail = f"Points to {quoted(link[0])}, whose content can change after you accept the tool."
            yield found("link", text.where, detail, blocking=False)
