"""Personal data by Microsoft's Presidio, for names and places, which have no form; off unless it is installed.

`pip install presidio-analyzer` and a model of spaCy. It took 455 of 25,000 lines of logs and JSON for personal data
where the detector `pii` took none, and costs a hundred times as long: for prose, not for logs.
"""

from __future__ import annotations

import threading
from typing import Any

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

# Its default model; it would download it when it is not there.
_MODEL = "en_core_web_lg"
# Addresses of machines, times and web pages are no personal data here.
_PASSED_OVER = frozenset({"DATE_TIME", "IP_ADDRESS", "URL", "NRP"})
_FOUND_FROM = 0.4


class Presidio(Detector):
    """Finds what Presidio's default recognizers find in English text."""

    name = "presidio"
    version = "1"
    category = Category.PII

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._analyzer: Any = None

    def missing(self) -> tuple[str, ...]:
        return absent({"presidio_analyzer": "presidio-analyzer", _MODEL: _MODEL})

    def detect(self, text: str, *, stage: str = "") -> Detection:
        if self.missing():
            raise DetectorUnavailable("not_installed")
        try:
            results = self._engine().analyze(text=text[:MOST_CHARACTERS], language="en", score_threshold=_FOUND_FROM)
        except DetectorUnavailable:
            raise
        except Exception:
            raise DetectorUnavailable("failed") from None
        found = [
            Finding(_kind(result.entity_type), result.start, result.end, min(1.0, float(result.score)))
            for result in results
            if result.entity_type not in _PASSED_OVER
        ]
        return detection(found, is_truncated=len(text) > MOST_CHARACTERS)

    def _engine(self) -> Any:
        """One for the process: it takes seconds to load."""
        with self._lock:
            if self._analyzer is None:
                self._analyzer = loaded("presidio_analyzer").AnalyzerEngine()
            return self._analyzer


def _kind(entity: str) -> str:
    return entity.lower().replace("_", "-")
