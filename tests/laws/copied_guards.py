"""Which checks of the server the SDK holds as copies. `python -m tests.laws.copied_guards` makes them again."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUARDS = ROOT / "sdk" / "mcp_observatory" / "guards"
ORIGINALS = {
    "fingerprints.py": "telemetry/fingerprints.py",
    "redaction.py": "telemetry/redaction.py",
    "schema_validator.py": "tools/schema_validator.py",
    "secret_forms.py": "telemetry/secret_forms.py",
    "session_policy.py": "tools/session_policy.py",
}
_OF_THE_SERVER = re.compile(r"^(from|import) (?:telemetry|tools)\.", re.MULTILINE)


def as_copied(original: str) -> str:
    """The server's text, importing from the SDK."""
    return _OF_THE_SERVER.sub(r"\1 mcp_observatory.guards.", (ROOT / original).read_text(encoding="utf-8"))


if __name__ == "__main__":
    for name, source in ORIGINALS.items():
        (GUARDS / name).write_text(as_copied(source), encoding="utf-8")
