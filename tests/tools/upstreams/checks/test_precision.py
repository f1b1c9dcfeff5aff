"""What published attacks and honest public servers get: the numbers that docs/explanation/upstream-servers.md tells."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.tools.upstreams.checks.attacks import KNOWN, PLAIN
from tests.tools.upstreams.checks.honest import CLOSE, LISTED, SOURCES
from tools.upstreams.checks import Known, findings_of
from tools.upstreams.declarations import declaration_of

SIBLINGS = {
    source: [Known(f"x.{tool['name']}", tool["name"]) for where, tool in LISTED if where == source]
    for source in SOURCES
}
# Two of them are caught, by their key files and by their language; for the others no wording is.
PLAIN_FOUND = {"mcptox: fingerprints", "other language"}


def _blocks(declaration: dict[str, Any]) -> bool:
    return any(finding.blocking for finding in findings_of(declaration, upstream="evil", others={}))


@pytest.mark.parametrize("attack", KNOWN, ids=lambda attack: attack[0])
def test_published_attack_blocks(attack: tuple[str, dict[str, Any]]) -> None:
    assert _blocks(attack[1])


def test_attack_in_ordinary_english_passes_and_we_say_so() -> None:
    assert {name for name, declaration in PLAIN if _blocks(declaration)} == PLAIN_FOUND


def test_honest_server_is_not_blocked_and_rarely_advised_about() -> None:
    blocked, advised = [], Counter[str]()
    for source, tool in LISTED:
        declaration = declaration_of(tool)
        assert isinstance(declaration, dict), (source, tool["name"], declaration)
        for finding in findings_of(declaration, upstream=source, others=SIBLINGS):
            if finding.blocking:
                blocked.append((source, tool["name"], finding))
            else:
                advised[finding.check] += 1
    assert blocked == []
    assert sum(advised.values()) <= len(LISTED) * 0.15, advised


@pytest.mark.parametrize(("repository", "declaration"), CLOSE, ids=[f"{row[0]}: {row[1]['name']}" for row in CLOSE])
def test_wording_that_comes_close_is_not_blocked(repository: str, declaration: dict[str, Any]) -> None:
    assert [finding for finding in findings_of(declaration, upstream="x", others={}) if finding.blocking] == []


def test_documentation_tells_the_numbers_that_are() -> None:
    page = (Path(settings.BASE_DIR) / "docs/explanation/upstream-servers.md").read_text()
    told = re.sub(r"\s+", " ", page)
    assert f"all {len(KNOWN)} published attacks" in told
    assert f"none of {len(LISTED) + len(CLOSE)} honest tools" in told
    assert f"{len(PLAIN_FOUND)} of {len(PLAIN)} attacks in ordinary English" in told
