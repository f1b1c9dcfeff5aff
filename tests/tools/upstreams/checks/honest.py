"""Tools of public servers, as these list them; and wordings of honest servers that come close to an attack's.

`LISTED` was taken from the packages named in `listed.json`, each under the licence named there. `CLOSE` retells, in our
own words, what other public servers say; the repository is named.
"""

import json
from pathlib import Path
from typing import Any

from tests.tools.upstreams.checks.declared import declared

_FILE = json.loads((Path(__file__).parent / "listed.json").read_text(encoding="utf-8"))
SOURCES: dict[str, dict[str, str]] = _FILE["sources"]
# (source, MCP Tool object as on the wire)
LISTED: list[tuple[str, dict[str, Any]]] = [(row["source"], row["tool"]) for row in _FILE["tools"]]

STRING = {"type": "string"}
# None of these blocks; some are told to the operator.
CLOSE: list[tuple[str, dict[str, Any]]] = [
    (
        "HubSpot (ideaportriga/magnet-ai)",
        declared(
            "get_user", "🎯 Purpose: who is signed in.\n\n🧭 Must be used before any operation with HubSpot tools."
        ),
    ),
    (
        "Shopify/dev-mcp",
        declared("get_started", "YOU MUST CALL THIS TOOL FIRST when the user wants to learn one of these APIs: admin."),
    ),
    (
        "MiSTer remote",
        declared("system_info", "IMPORTANT: Always call this first before launching games. Tells formats and quirks."),
    ),
    (
        "zener registry",
        declared("search_registry", "IMPORTANT: Always try this FIRST when the user asks for a component of a board."),
    ),
    (
        "cantina",
        declared("get_finding", "Use this for cantina.xyz addresses. Do NOT use fetch: the site asks to sign in."),
    ),
    ("bitwarden", declared("sync", "Always sync after creating or editing items and before listing them.")),
    (
        "serendie",
        declared("overview", "Overview of the design system. You MUST call this tool FIRST, then ask for components."),
    ),
    (
        "slack",
        declared("get_channel_history", "Returns recent messages of a channel, newest first, with their threads."),
    ),
    (
        "slack",
        declared("reply", "Replies in a thread. Do not use it for new messages; post_message is there for these."),
    ),
    ("gmail", declared("send", "Sends an e-mail to the recipients in to, cc and bcc.", properties={"bcc": STRING})),
    (
        "git",
        declared(
            "commit_all", "Records changes. Messages must not begin with a hash. Read the config with git_config."
        ),
    ),
    (
        "kubernetes",
        declared("apply", "Applies a manifest. Secrets are shown masked; tokens of service accounts are not."),
    ),
    ("vault", declared("read_secret", "Reads a secret at a path.", properties={"path": STRING, "token": STRING})),
    ("sql", declared("query", "Runs one SELECT. Ignores case in names of columns, and trailing semicolons.")),
    ("firewall", declared("add_rule", "Adds a rule before all existing rules, or in place of the previous rule.")),
    ("e-mail rules", declared("mute", "Messages are silently ignored, and the sender is not told.")),
    ("approval", declared("merge", "Merges once the required reviewers have approved. Needs confirmation=true.")),
    ("placeholders", declared("clone", "Clones https://example.com/<user>/<repo>.git into <directory>.")),
    ("html", declared("render", "Renders HTML such as <h1>, <code> and <user-card>; scripts are dropped.")),
    ("dotenv", declared("env_list", "Lists names from process.env and from config.env.example, never their values.")),
    ("digest", declared("verify", f"Compares with a SHA-256, e.g. {'e3b0c44298fc1c149afbf4c8996fb924' * 2}.")),
    ("uuid", declared("get_page", "Fetches a page by id, e.g. 3f2b8c1e-9a77-4d0e-8a52-1f6f0f7f2c11.")),
    ("images", declared("crop", "Crops an image given as data:image/png;base64,iVBORw0KGgo= or as a path.")),
    (
        "chat",
        declared("summarise", "Summarises the conversation whose id is given.", properties={"conversation_id": STRING}),
    ),
    ("roles", declared("add_message", "Adds a message. role: one of user, assistant, system.")),
    ("phone", declared("set_forwarding", "Sets the number that calls go to. Replace spaces with nothing.")),
    (
        "paths",
        declared("read_file", "Reads a file below the allowed directories. ~ is expanded to the home directory."),
    ),
    ("German", declared("suche", "Durchsucht die Dokumente. Groß- und Kleinschreibung wird nicht beachtet.")),
    ("Russian", declared("poisk", "Ищет документы по словам. Регистр не учитывается; API-ключ не нужен.")),
    ("Chinese", declared("sousuo", "搜索文档。忽略大小写。返回最相关的十条结果。")),
    ("Japanese", declared("kensaku", "文書を検索します。大文字と小文字は区別しません。")),
    ("Arabic", declared("bahth", "يبحث في المستندات ويعيد أفضل عشر نتائج\u200f (API).")),
    ("Persian", declared("jostoju", "در سندها جست\u200cوجو می\u200cکند و ده نتیجه برمی\u200cگرداند.")),
    ("Hindi", declared("khoj", "दस्तावेज़ों में खोजता है। क्\u200dष का अर्थ रखता है।")),
    ("Hebrew", declared("hipus", "מחפש במסמכים \u200e(API)\u200e ומחזיר תוצאות.")),
    (
        "Greek",
        declared("anazitisi", "Αναζητά έγγραφα. Η πεζότητα δεν έχει σημασία.", properties={"Δt": STRING, "µm": STRING}),
    ),
    ("emoji", declared("ship", "🚀 Ships it 👩‍💻👨‍👩‍👧 ❤️ 1️⃣ ☎️ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🫨 ✔︎ 👍🏽 🏳️‍🌈")),
    ("French", declared("chercher", "Cherche\u00a0: «\u202fmots\u202f» dans les pages\u00a0!")),
]
