"""The SDK judges by the server's own checks: its copies are the same text, but for where they import from."""

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
GUARDS = ROOT / "sdk" / "mcp_observatory" / "guards"
ORIGINALS = {
    "fingerprints.py": "telemetry/fingerprints.py",
    "redaction.py": "telemetry/redaction.py",
    "schema_validator.py": "tools/schema_validator.py",
    "secret_forms.py": "telemetry/secret_forms.py",
    "session_policy.py": "tools/session_policy.py",
}
_OF_THE_SERVER = re.compile(r"^(from|import) (?:telemetry|tools)\.", re.MULTILINE)


def as_copied(text: str) -> str:
    return _OF_THE_SERVER.sub(r"\1 mcp_observatory.guards.", text)


def test_every_guard_is_compared():
    assert {path.name for path in GUARDS.glob("*.py")} == {*ORIGINALS, "__init__.py"}


@pytest.mark.parametrize(("copy", "original"), ORIGINALS.items())
def test_a_guard_is_the_servers(copy: str, original: str) -> None:
    expected = as_copied((ROOT / original).read_text(encoding="utf-8"))
    found = (GUARDS / copy).read_text(encoding="utf-8")
    assert found == expected, (
        f"{original} was changed and its copy was not, or the copy was. Copy it to sdk/mcp_observatory/guards/{copy}, "
        "with mcp_observatory.guards in the place of telemetry and tools in its imports."
    )


@pytest.mark.parametrize("copy", ORIGINALS)
def test_a_guard_needs_nothing_of_the_server(copy: str) -> None:
    tree = ast.parse((GUARDS / copy).read_text(encoding="utf-8"))
    named = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} | {
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    ours = {name for name in named if name and name.startswith(("telemetry", "tools", "approvals", "observatory"))}
    assert ours == set()
    guards = {name for name in named if name and name.startswith("mcp_observatory")}
    assert guards <= {f"mcp_observatory.guards.{name.removesuffix('.py')}" for name in ORIGINALS}
