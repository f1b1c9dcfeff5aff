"""What the suite found wrong, against what is known and why. Shape: {"scenario:check": what the suite said of it}."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EXPECTED = Path(__file__).with_name("expected_failures.toml")
WRONG = ("FAILURE", "WARNING")


def checks(folder: Path) -> Mapping[str, list[Mapping[str, Any]]]:
    """Every check of a run, by its scenario. The suite names each folder by its scenario and a time."""
    return {
        re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", found.parent.name): json.loads(found.read_text())
        for found in sorted(folder.glob("*/checks.json"))
    }


def wrong(found: Mapping[str, list[Mapping[str, Any]]]) -> dict[str, str]:
    return {
        f"{scenario}:{check['id']}": str(check.get("errorMessage") or check["description"])
        for scenario, all_checks in found.items()
        for check in all_checks
        if check["status"] in WRONG
    }


def expected(version: str) -> set[str]:
    """The checks that may be wrong at this version of the protocol. Each stands in a group that says why."""
    groups = tomllib.loads(EXPECTED.read_text())["expected"]
    for group in groups:
        assert group["reason"].strip(), group
    named = [check for group in groups if version in group["versions"] for check in group["checks"]]
    assert len(named) == len(set(named)), "a check stands in two groups"
    return set(named)
