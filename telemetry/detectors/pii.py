"""Personal data that has a form: addresses of mail, telephones, accounts, cards, national identity numbers.

Names, postal addresses and dates of birth have none and are not found; an IP address is not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from telemetry.detectors.detector import Category, Finding, LocalDetector
from telemetry.detectors.labels import is_labelled
from telemetry.detectors.national_ids import national_ids_in
from telemetry.detectors.phones import phones_in
from telemetry.secret_forms import FORMS

_EMAIL, _IBAN, _CARD = (next(form for form in FORMS if form.name == name) for name in ("email", "iban", "card"))
_DIGITS = re.compile(r"[0-9](?:[^0-9]{0,2}[0-9]){3}")


class Pii(LocalDetector):
    """Finds what is personal data by its form, its check digits and, where these are weak, the words around it.

    `region`: whose telephone numbers are known without a +, as ISO 3166 has it; None for nobody's. The default is the
    numbering plan of twenty countries, whose three groups are hardly taken for anything else.
    """

    name = "pii"
    version = "2"
    category = Category.PII

    def __init__(self, region: str | None = "US") -> None:
        self.region = region

    def _find(self, text: str) -> Iterator[Finding]:
        # What is found first has these characters: digits of a card are no telephone number.
        taken = bytearray(len(text))
        for finding in self._all(text):
            if not any(taken[finding.start : finding.end]):
                taken[finding.start : finding.end] = b"\1" * (finding.end - finding.start)
                yield finding

    def _all(self, text: str) -> Iterator[Finding]:
        if "@" in text:
            yield from _emails_in(text)
        # Nothing else is made without four digits close together.
        if _DIGITS.search(text) is None:
            return
        yield from _ibans_in(text)
        yield from _cards_in(text)
        yield from national_ids_in(text)
        yield from phones_in(text, self.region)


# What ends names of packages, pictures and units, and is no top-level domain.
_NO_DOMAINS = frozenset(
    {
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "css",
        "js",
        "json",
        "html",
        "txt",
        "local",
        "service",
        "socket",
        "timer",
    }
)


def _emails_in(text: str) -> Iterator[Finding]:
    """`lodash@4.17.21` is a package, `git@github.com:a/b` a repository."""
    for start, end in _EMAIL.spans(text):
        name, _, host = text[start:end].rpartition("@")
        last = host.rpartition(".")[2].lower()
        is_domain = len(last) > 1 and (last.isalpha() or last.startswith("xn--")) and last not in _NO_DOMAINS
        if is_domain and name.lower() != "git":
            yield Finding("email", start, end, 0.95)


def _ibans_in(text: str) -> Iterator[Finding]:
    for start, end in _IBAN.spans(text):
        if not text[end : end + 1].isalnum():
            yield Finding("iban", start, end, 0.95)


_CARD_LABELS = (
    "card",
    "cards",
    "credit",
    "debit",
    "visa",
    "mastercard",
    "amex",
    "pan",
    "cc",
    "karte",
    "tarjeta",
    "carte",
)
_PART_OF_MORE = re.compile(r"\w|[-./]\w")
_ESCAPED = re.compile(r"\\[nrt]")
# As cards are printed; the numbers that their issuers give, of two lengths that nearly all cards have.
_PRINTED = re.compile(r"[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}|[0-9]{4}([ -])[0-9]{6}\2[0-9]{5}")
_ISSUED = re.compile(
    r"4[0-9]{15}|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}|3[47][0-9]{13}"
    r"|(?:6011|62[0-9]{2}|65[0-9]{2}|64[4-9][0-9]|352[89]|35[3-8][0-9])[0-9]{12}"
)
_NO_DIGIT = re.compile(r"[ -]")
_MORE_BEFORE, _MORE_BEHIND = re.compile(r"[0-9][ -]\Z"), re.compile(r"[ -](?:[0-9]{4}|[0-9]{1,3}[ -][0-9])")


def _cards_in(text: str) -> Iterator[Finding]:
    """A number of its own, not the digits of a fraction, an id, a hash or a table."""
    for start, end in _CARD.spans(text):
        before = text[max(0, start - 2) : start]
        if _PART_OF_MORE.match(text, end):
            continue
        if before[-1:] and (before[-1:].isalnum() or before[-1:] in "_.-/") and not _ESCAPED.fullmatch(before):
            continue
        if is_labelled(text, start, end, _CARD_LABELS):
            yield Finding("card", start, end, 0.95)
        elif _ISSUED.fullmatch(_NO_DIGIT.sub("", text[start:end])):
            if text[start:end].isdigit():
                yield Finding("card", start, end, 0.6)
            elif _PRINTED.fullmatch(text, start, end) and not _is_part_of_a_row(text, before, end):
                yield Finding("card", start, end, 0.9)


def _is_part_of_a_row(text: str, before: str, end: int) -> bool:
    return _MORE_BEFORE.search(before) is not None or _MORE_BEHIND.match(text, end) is not None
