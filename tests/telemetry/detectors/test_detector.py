"""What every detector promises: bounds, order, names that stay, nothing of the text in what it answers."""

import dataclasses
import re

import pytest

from telemetry.detectors.detector import MOST_CHARACTERS, MOST_FINDINGS, Category, Detection, Finding
from telemetry.detectors.pii import Pii
from telemetry.detectors.registry import BUILT_IN, by_name
from telemetry.detectors.secrets import Secrets

NAMES = ("pii", "secrets", "injection", "toxicity", "presidio")


def test_registry_keeps_its_names_and_their_order() -> None:
    assert tuple(detector.name for detector in BUILT_IN) == NAMES == tuple(by_name())
    assert [detector.category for detector in BUILT_IN] == ["pii", "secrets", "injection", "toxicity", "pii"]
    assert {category.value for category in Category} == {"pii", "secrets", "injection", "toxicity", "custom"}
    assert all(re.fullmatch(r"\d+", detector.version) for detector in BUILT_IN)


def test_detection_counts_by_kind_in_order_of_names() -> None:
    findings = (Finding("b", 0, 1, 0.5), Finding("a", 1, 2, 0.9), Finding("b", 2, 3, 0.5))
    assert list(Detection(0.9, findings).kinds.items()) == [("a", 1), ("b", 2)]
    assert Detection().kinds == {}


def test_detect_keeps_the_first_findings_and_the_highest_score_when_there_are_many() -> None:
    text = "alice@example.com " * 200 + "4111111111111111"
    detection = Pii().detect(text)
    assert len(detection.findings) == MOST_FINDINGS
    assert [finding.start for finding in detection.findings] == [18 * number for number in range(MOST_FINDINGS)]
    assert detection.score == 0.95


@pytest.mark.parametrize(
    ("length", "is_truncated", "is_found"),
    [(MOST_CHARACTERS - 40, False, True), (MOST_CHARACTERS, True, False), (MOST_CHARACTERS + 1, True, False)],
)
def test_detect_says_that_it_did_not_read_to_the_end(length: int, is_truncated: bool, is_found: bool) -> None:
    detection = Pii().detect(" " * length + "alice@example.com")
    assert (detection.truncated, bool(detection.findings)) == (is_truncated, is_found)


def test_a_finding_has_no_room_for_a_text() -> None:
    assert [each.name for each in dataclasses.fields(Finding)] == ["kind", "start", "end", "score"]
    said = repr(Secrets().detect("token = hunter2hunter2hunter2XYZ9 alice"))
    assert "hunter2" not in said
    assert "assigned-secret" in said
