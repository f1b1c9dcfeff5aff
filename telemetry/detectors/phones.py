"""Telephone numbers: digits that a country's numbering plan has, written as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers

from telemetry.detectors.detector import Finding
from telemetry.detectors.labels import is_labelled

# `\n` in JSON is a line's end, not a letter.
_CANDIDATE = re.compile(r"(?:(?<![\w.,+/@=#$-])|(?<=\\[nrt]))(?:\+ ?\(?|\()?[0-9][0-9 ().\u00a0/-]{5,24}[0-9](?![\w%])")
_GROUP = re.compile(r"\d+")
_DATE = re.compile(r"(?:19|20)\d\d[-/. ](?:0?[1-9]|1[0-2])[-/. ](?:0?[1-9]|[12]\d|3[01])(?!\d)")
_LABELS = (
    *("phone", "phones", "telephone", "tel", "mobile", "cell", "cellphone", "fax", "call", "callback", "sms", "text"),
    *("whatsapp", "signal", "msisdn", "ring", "dial", "telefon", "telefonnummer", "rufnummer", "handy", "mobil"),
    *("téléphone", "portable", "teléfono", "móvil", "telefone", "celular", "telefono", "cellulare", "telefoon"),
    *("puhelin", "телефон", "電話", "电话"),
)
# More looks into a numbering plan than any honest text needs; each costs some 25 µs.
_MOST_LOOKS = 1_000
_FEWEST_DIGITS, _MOST_DIGITS = 7, 16


def phones_in(text: str, region: str | None) -> Iterator[Finding]:
    """Numbers with + of any country; without it those of the region, if they are grouped or labelled as one."""
    looks = 0
    for match in _CANDIDATE.finditer(text):
        if (region is None and match[0][0] != "+") or _DATE.match(match[0]):
            continue
        for candidate in _candidates(text, *match.span()):
            looks += 1
            if looks > _MOST_LOOKS:
                return
            if (score := _score(text, *candidate, region)) > 0:
                yield Finding("phone", *candidate, score)
                break


def _candidates(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """All of it, then less and less: what follows a number may be digits too."""
    groups = [match.span() for match in _GROUP.finditer(text, start, end)]
    digits = sum(stop - begin for begin, stop in groups)
    if len(groups) == 1 and text[start] != "+" and not is_labelled(text, start, end, _LABELS):
        return
    for begin, stop in reversed(groups):
        if digits < _FEWEST_DIGITS:
            return
        if digits <= _MOST_DIGITS:
            yield start, stop
        digits -= stop - begin


def _score(text: str, start: int, end: int, region: str | None) -> float:
    candidate = text[start:end]
    is_international = candidate[0] == "+"
    try:
        number = phonenumbers.parse(candidate, None if is_international else region)
    except phonenumbers.NumberParseException:
        return 0.0
    if not phonenumbers.is_valid_number(number):
        return 0.0
    if is_international or is_labelled(text, start, end, _LABELS):
        return 0.95
    return 0.7 if _is_grouped(candidate, number) else 0.0


def _is_grouped(candidate: str, number: phonenumbers.PhoneNumber) -> bool:
    """In the groups in which its country writes it, so that a row of figures is no telephone number."""
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    return bool(_GROUP.findall(candidate) == _GROUP.findall(national))
