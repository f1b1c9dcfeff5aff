"""Insults and threats, by a small trained model that is installed only where somebody wants it.

`pip install alt-profanity-check`. At a threshold of 0.3 it took 8 of 20 texts of operations for toxic ("kill the
process"): advise by it, don't deny.
"""

from __future__ import annotations

from telemetry.detectors.detector import (
    MOST_CHARACTERS,
    Category,
    Detection,
    Detector,
    DetectorUnavailable,
    Finding,
    detection,
)
from telemetry.detectors.optional import absent, loaded

_FOUND_FROM = 0.3


class Toxicity(Detector):
    """Says how likely the whole text is to insult; a finding from 0.3 on."""

    name = "toxicity"
    version = "1"
    category = Category.TOXICITY

    def missing(self) -> tuple[str, ...]:
        return absent({"profanity_check": "alt-profanity-check"})

    def detect(self, text: str, *, stage: str = "") -> Detection:
        if self.missing():
            raise DetectorUnavailable("not_installed")
        module = loaded("profanity_check")
        try:
            score = float(module.predict_prob([text[:MOST_CHARACTERS]])[0])
        except Exception:
            raise DetectorUnavailable("failed") from None
        found = [Finding("toxic", 0, min(len(text), MOST_CHARACTERS), score)] if score >= _FOUND_FROM else []
        return detection(found, is_truncated=len(text) > MOST_CHARACTERS)
