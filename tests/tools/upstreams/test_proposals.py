"""Hints propose settings, never milder ones than were declared; hints that do not fit are told."""

from typing import Any

import pytest

from tests.tools.upstreams.checks.declared import declared
from tools.models import Tool
from tools.upstreams.checks import annotations
from tools.upstreams.proposals import proposed_settings

READ = {"readOnlyHint": True}
CLOSED = {"openWorldHint": False}
GENTLE = {"destructiveHint": False}
# (name, annotations, risk, read_only, idempotent, network)
PROPOSALS: list[tuple[str, Any, str, bool, bool, str]] = [
    ("get", {}, "high", False, False, "yes"),
    ("get", None, "high", False, False, "yes"),
    ("get", "nonsense", "high", False, False, "yes"),
    ("get", READ, "medium", True, True, "yes"),
    ("get", READ | CLOSED, "low", True, True, "undeclared"),
    ("get", CLOSED, "high", False, False, "undeclared"),
    ("get", GENTLE, "medium", False, False, "yes"),
    ("get", GENTLE | CLOSED, "medium", False, False, "undeclared"),
    ("get", {"destructiveHint": True}, "high", False, False, "yes"),
    ("get", {"idempotentHint": True}, "high", False, True, "yes"),
    ("get", {"readOnlyHint": "true"}, "high", False, False, "yes"),
    ("get", {"readOnlyHint": 1, "destructiveHint": 0, "openWorldHint": 0}, "high", False, False, "yes"),
    ("get", READ | CLOSED | {"destructiveHint": True}, "high", False, False, "undeclared"),
    ("delete_all", READ | CLOSED, "high", False, False, "undeclared"),
    ("delete_all", READ | CLOSED | GENTLE, "high", False, False, "undeclared"),
]


@pytest.mark.parametrize(("name", "hints", "risk", "read_only", "idempotent", "network"), PROPOSALS)
def test_settings_are_proposed_from_hints(
    name: str, hints: Any, risk: str, read_only: bool, idempotent: bool, network: str
) -> None:
    proposed = proposed_settings(declared(name, "Gets.", annotations=hints))
    assert proposed == {
        "risk": risk,
        "read_only": read_only,
        "idempotent": idempotent,
        "irreversible": False,
        "network": network,
    }
    Tool(name="x.get", executor=Tool.Executor.MCP, **proposed).clean_fields()


# (name, description, annotations, places told)
FITS: list[tuple[str, str, Any, list[str]]] = [
    ("get_page", "Gets a page.", READ, []),
    ("delete_page", "Deletes a page.", {}, []),
    ("delete_page", "", READ, ["annotations/readOnlyHint"]),
    ("pageDelete", "", READ, ["annotations/readOnlyHint"]),
    ("page", "Sends a page.", READ, ["annotations/readOnlyHint"]),
    ("get", "", READ | {"destructiveHint": True}, ["annotations"]),
    ("get_deleted", "Lists what was deleted; does not send.", READ, []),
    ("settings_get", "Settings.", READ, []),
    ("address", "Addresses of a person.", READ, []),
]


@pytest.mark.parametrize(("name", "description", "hints", "places"), FITS)
def test_hint_is_told_when_it_does_not_fit(name: str, description: str, hints: Any, places: list[str]) -> None:
    found = list(annotations.check(declared(name, description, annotations=hints)))
    assert [(finding.check, finding.where, finding.blocking) for finding in found] == [
        ("hints_contradict", place, False) for place in places
    ]
