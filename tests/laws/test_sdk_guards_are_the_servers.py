"""The SDK judges by the server's own checks: its copies are the same text, but for where they import from."""

import ast

import pytest

from tests.laws.copied_guards import GUARDS, ORIGINALS, as_copied


def test_every_guard_is_compared():
    assert {path.name for path in GUARDS.glob("*.py")} == {*ORIGINALS, "__init__.py"}


@pytest.mark.parametrize(("copy", "original"), ORIGINALS.items())
def test_a_guard_is_the_servers(copy: str, original: str) -> None:
    found = (GUARDS / copy).read_text(encoding="utf-8")
    assert found == as_copied(original), f"{original} and its copy differ: python -m tests.laws.copied_guards"


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
