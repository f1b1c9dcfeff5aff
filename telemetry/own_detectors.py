"""From the rows of detectors elsewhere to what is asked; their credentials are kept sealed, bound to their rows."""

from __future__ import annotations

from telemetry.detectors.detector import Category, Detection, Detector, DetectorUnavailable
from telemetry.detectors.remote import RemoteDetector as AskedDetector
from telemetry.encryption import CannotOpen, open_sealed, seal
from telemetry.models import RemoteDetector

SEALED_FOR = "remote_detector"
NO_KEY = "secret_cannot_be_opened"


class _Locked(Detector):
    """One whose credential no key of ours opens: it could not say, and texts are not sent without it."""

    version = "remote"
    is_remote = True

    def __init__(self, name: str, category: Category) -> None:
        self.name = name
        self.category = category

    def detect(self, text: str, *, stage: str = "") -> Detection:
        raise DetectorUnavailable(NO_KEY)


def sealed(row: RemoteDetector, secret: str) -> bytes:
    """The credential as it is stored. The row must have its key."""
    return seal(secret.encode(), purpose=SEALED_FOR, context=str(row.pk))


def detector_of(row: RemoteDetector) -> Detector:
    """What is asked for this row, whether it is on or off."""
    category = Category(row.category)
    try:
        secret = _opened(row)
    except CannotOpen:
        return _Locked(row.name, category)
    return AskedDetector(
        row.name, category, row.url, header=row.secret_header, secret=secret, timeout_s=float(row.timeout_s)
    )


def own_detectors() -> tuple[Detector, ...]:
    """Those that are on, by name."""
    return tuple(detector_of(row) for row in RemoteDetector.objects.filter(enabled=True).order_by("name"))


def _opened(row: RemoteDetector) -> str:
    stored = row.sealed_secret
    return open_sealed(bytes(stored), purpose=SEALED_FOR, context=str(row.pk)).decode() if stored else ""
