"""The SDK judges by the server's own checks: its copies are the same text, but for where they import from."""

import ast
from typing import get_args

import pytest
from mcp_observatory.harness import StepDecision
from mcp_observatory.harness.configuration import CATEGORIES, HARD_IN_MIXED, Mode
from mcp_observatory.harness.screening import REUSED, SUITE

from telemetry import guardrails
from telemetry.detectors.detector import Category
from tests.laws.copied_guards import GUARDS, ORIGINALS, as_copied
from tools.reasons import DECISIONS, REASONS


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


def test_words_of_the_harness_are_the_servers() -> None:
    assert {decision.value for decision in StepDecision} == set(DECISIONS)
    assert set(CATEGORIES) == set(Category)
    assert frozenset(HARD_IN_MIXED) == guardrails.HARD_IN_MIXED
    assert (guardrails.OFF, *get_args(Mode)) == guardrails.MODES
    assert (REUSED, SUITE) == (guardrails.REUSED, guardrails.SUITE)


@pytest.mark.parametrize(
    ("reason", "decision"),
    [
        *[(code, "denied_policy") for code in ("session_blocklist", "session_allowlist", "no_network", "max_steps")],
        *[(code, "denied_policy") for code in ("unknown_tool", "guardrail_input", "output_withheld")],
        *[(code, "error") for code in ("tool_failed", "tool_error", "tool_timeout")],
        *[("allowed", "ok"), ("dry_run", "dry_run"), ("denied_schema", "denied_schema")],
    ],
)
def test_reasons_of_local_steps_are_the_servers(reason: str, decision: str) -> None:
    assert REASONS[reason].decision == decision
