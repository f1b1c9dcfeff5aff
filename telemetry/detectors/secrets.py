"""Keys, tokens and passwords."""

from __future__ import annotations

from collections.abc import Iterator

from telemetry.detectors.detector import Category, Finding, LocalDetector
from telemetry.secret_forms import CREDENTIALS


class Secrets(LocalDetector):
    """Finds what is a credential by its shape."""

    name = "secrets"
    version = "1"
    category = Category.SECRETS

    def _find(self, text: str) -> Iterator[Finding]:
        for form in CREDENTIALS:
            for match in form.pattern.finditer(text):
                if (end := form.extent(match)) is not None:
                    yield Finding(form.name, match.start(), end, 1.0)
