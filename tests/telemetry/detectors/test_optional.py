"""Detectors that need a package: unavailable without it, and with it what it says, whatever it raises."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from telemetry.detectors.detector import Detector, DetectorUnavailable
from telemetry.detectors.optional import loaded
from telemetry.detectors.presidio import Presidio
from telemetry.detectors.toxicity import Toxicity

Install = Callable[[str, str], None]
ANALYZER = """
from types import SimpleNamespace
class AnalyzerEngine:
    def analyze(self, *, text, language, score_threshold):
        if "fail" in text:
            raise RuntimeError(text)
        return [SimpleNamespace(entity_type=kind, start=0, end=5, score=0.85) for kind in ("PERSON", "DATE_TIME")]
"""
PROFANITY = """
def predict_prob(texts):
    if "fail" in texts[0]:
        raise RuntimeError(texts[0])
    return [0.9 if "idiot" in texts[0] else 0.1]
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a package of this name and text where Python looks for packages, until the test is over."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names: list[str] = []

    def put(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)
        names.append(name)

    loaded.cache_clear()
    yield put
    loaded.cache_clear()
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("detector", "missing"),
    [(Toxicity(), ("alt-profanity-check",)), (Presidio(), ("presidio-analyzer", "en_core_web_lg"))],
)
def test_detector_is_unavailable_without_its_package(detector: Detector, missing: tuple[str, ...]) -> None:
    assert detector.missing() == missing
    with pytest.raises(DetectorUnavailable, match=r"^not_installed$"):
        detector.detect("alice is an idiot")


def test_toxicity_says_what_the_package_says(install: Install) -> None:
    install("profanity_check", PROFANITY)
    toxicity = Toxicity()
    assert toxicity.missing() == ()
    detection = toxicity.detect("you idiot")
    assert (detection.score, detection.kinds) == (0.9, {"toxic": 1})
    assert toxicity.detect("good morning").findings == ()


def test_presidio_says_what_the_package_says_but_for_what_is_no_person(install: Install) -> None:
    install("presidio_analyzer", ANALYZER)
    install("en_core_web_lg", "")
    detection = Presidio().detect("alice")
    assert (detection.score, detection.kinds) == (0.85, {"person": 1})


@pytest.mark.parametrize(
    ("detector", "module", "text", "reason"),
    [
        (Toxicity(), "profanity_check", PROFANITY, "failed"),
        (Presidio(), "presidio_analyzer", ANALYZER, "failed"),
        (Toxicity(), "profanity_check", "raise ImportError('canary')", "cannot_be_imported"),
        (Presidio(), "presidio_analyzer", "raise OSError('canary')", "cannot_be_imported"),
    ],
)
def test_detector_is_unavailable_when_its_package_fails(
    install: Install, detector: Detector, module: str, text: str, reason: str
) -> None:
    install(module, text)
    install("en_core_web_lg", "")
    with pytest.raises(DetectorUnavailable) as raised:
        detector.detect("fail canary")
    assert str(raised.value) == reason
    assert raised.value.__cause__ is None
