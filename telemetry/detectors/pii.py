"""Personal data."""

from __future__ import annotations

from collections.abc import Iterator

from telemetry.detectors.detector import Category, Finding, LocalDetector
from telemetry.secret_forms import FORMS

_FORMS = tuple(form for form in FORMS if form.name in ("email", "iban", "card"))


class Pii(LocalDetector):
    """Finds mail addresses, account numbers and payment cards."""

    name = "pii"
    version = "1"
    category = Category.PII

    def _find(self, text: str) -> Iterator[Finding]:
        for form in _FORMS:
            for match in form.pattern.finditer(text):
                if (end := form.extent(match)) is not None:
                    yield Finding(form.name, match.start(), end, 1.0)
