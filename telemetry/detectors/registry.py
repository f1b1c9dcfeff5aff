"""The detectors that come with the product, in the order in which they are asked."""

from __future__ import annotations

from telemetry.detectors.detector import Detector
from telemetry.detectors.injection import Injection
from telemetry.detectors.pii import Pii
from telemetry.detectors.presidio import Presidio
from telemetry.detectors.secrets import Secrets
from telemetry.detectors.toxicity import Toxicity

BUILT_IN: tuple[Detector, ...] = (
    Pii(),
    Secrets(),
    Injection(),
    Toxicity(),
    Presidio(),
)


def by_name() -> dict[str, Detector]:
    return {detector.name: detector for detector in BUILT_IN}
