"""What every detector is, and what it answers: where something stands and how sure it is, never what stands there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

# Only so many characters of one text are read; `Detection.truncated` says that there were more.
MOST_CHARACTERS = 65_536
MOST_FINDINGS = 50


class Category(StrEnum):
    """What a threshold is set for."""

    PII = "pii"
    SECRETS = "secrets"
    INJECTION = "injection"
    TOXICITY = "toxicity"
    CUSTOM = "custom"


class DetectorUnavailable(Exception):
    """It could not say. The message is one word for why, never of the text. Who asked treats doubt as it must."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`start` and `end` are positions in the text as it was given; 0 and its length where that is all that is known."""

    kind: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Detection:
    """`score` is the highest of all, 0 where nothing was found; `findings` are the first 50, by position."""

    score: float = 0.0
    findings: tuple[Finding, ...] = ()
    truncated: bool = False

    @property
    def kinds(self) -> dict[str, int]:
        """How often each kind is among the findings, by name."""
        return dict(sorted(Counter(finding.kind for finding in self.findings).items()))


class Detector(ABC):
    """One question asked of a text. Safe between threads; the same text gets the same answer from one version."""

    name: str
    # Another one whenever the same text may get another answer.
    version: str
    category: Category
    # Asked over the network: whoever asks holds nothing meanwhile.
    is_remote: bool = False

    @abstractmethod
    def detect(self, text: str, *, stage: str = "") -> Detection:
        """What is in the first 64 Ki characters. `stage` is for detectors elsewhere. Raises DetectorUnavailable."""

    def missing(self) -> tuple[str, ...]:
        """Packages that it needs and that are not installed; while there are any, it is unavailable."""
        return ()


class LocalDetector(Detector):
    """A detector that reads the text here."""

    def detect(self, text: str, *, stage: str = "") -> Detection:
        found = self._find(text[:MOST_CHARACTERS])
        return detection(found, is_truncated=len(text) > MOST_CHARACTERS)

    @abstractmethod
    def _find(self, text: str) -> Iterable[Finding]:
        """Everything that is in the text, which is not too long."""


def detection(findings: Iterable[Finding], *, is_truncated: bool) -> Detection:
    ordered = sorted(findings, key=lambda finding: (finding.start, finding.end, finding.kind))
    score = max((finding.score for finding in ordered), default=0.0)
    return Detection(score, tuple(islice(ordered, MOST_FINDINGS)), is_truncated)
