"""Telephone numbers: digits that a country's numbering plan has, written as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import phonenumbers

from telemetry.detectors.detector import Finding
from telemetry.detectors.labels import is_labelled

# `\n` in JSON is a line's end, not a letter.
_CANDIDATE = re.compile(
    r"(?:(?<![\w.,+/@#$-])|(?<=\\[nrt]))(?:\+ ?\(?|\()?[0-9][0-9 ().\u00a0/-]{5,24}[0-9]"
    r"(?=[ ]?(?:x|ext)\.?[ ]?[0-9]|(?![\w%]))"
)
_GROUP = re.compile(r"\d+")
_DATE = re.compile(r"(?:19|20)\d\d[-/. ](?:0?[1-9]|1[0-2])[-/. ](?:0?[1-9]|[12]\d|3[01])(?!\d)")
# Not "call", "cell", "text", "signal": programs have these too.
_LABELS = (
    *("phone", "phones", "telephone", "tel", "mobile", "cellphone", "fax", "sms", "whatsapp", "msisdn", "telefon"),
    *("telefonnummer", "rufnummer", "mobil", "téléphone", "teléfono", "móvil", "telefone", "celular", "telefono"),
    *("cellulare", "telefoon", "puhelin", "телефон", "電話", "电话"),
)
# Whose plans a number with a label is looked up in, when it is not of the region.
_OTHER_REGIONS = ("GB", "DE", "FR", "ES", "IT", "NL", "PL", "IN", "BR", "AU")
# More looks into a numbering plan than any honest text needs; each costs some 25 µs.
_MOST_LOOKS = 1_000
_FEWEST_DIGITS, _MOST_DIGITS = 7, 16


def phones_in(text: str, region: str | None) -> Iterator[Finding]:
    """Numbers with + of any country; without it those of the region, if they are grouped or labelled as one."""
    looks, lengths = 0, _lengths(region)
    for match in _CANDIDATE.finditer(text):
        if (region is None and match[0][0] != "+") or _DATE.match(match[0]):
            continue
        for candidate in _candidates(text, *match.span(), lengths):
            looks += 1
            if looks > _MOST_LOOKS:
                return
            if (score := _score(text, *candidate, region)) > 0:
                yield Finding("phone", *candidate, score)
                break


@lru_cache(maxsize=8)
def _lengths(region: str | None) -> frozenset[int]:
    """How many digits a number of this region has, with the one or two by which it is dialled inside the country."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None) if region else None
    lengths = metadata.general_desc.possible_length if metadata and metadata.general_desc else ()
    return frozenset(length + more for length in lengths for more in range(3))


def _candidates(text: str, start: int, end: int, lengths: frozenset[int]) -> Iterator[tuple[int, int]]:
    """All of it; where + or a label says that a number begins, less and less: what follows it may be digits too."""
    groups = [match.span() for match in _GROUP.finditer(text, start, end)]
    digits = sum(stop - begin for begin, stop in groups)
    if digits < _FEWEST_DIGITS:
        return
    if text[start] == "(" and ")" not in text[start:end]:
        start += 1
    is_told = text[start] == "+" or is_labelled(text, start, end, _LABELS)
    if not is_told and (len(groups) == 1 or digits not in lengths):
        return
    for begin, stop in reversed(groups):
        if digits < _FEWEST_DIGITS:
            return
        if digits <= _MOST_DIGITS:
            yield start, stop
        if not is_told:
            return
        digits -= stop - begin


def _score(text: str, start: int, end: int, region: str | None) -> float:
    candidate = text[start:end]
    if candidate[0] == "+":
        return 0.95 if _number(candidate, None) else 0.0
    number = _number(candidate, region)
    if is_labelled(text, start, end, _LABELS):
        return 0.95 if number or any(_number(candidate, other) for other in _OTHER_REGIONS) else 0.0
    return 0.7 if number and _is_grouped(candidate, number) else 0.0


def _number(candidate: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    """As this region's plan has it."""
    try:
        number = phonenumbers.parse(candidate, region)
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_valid_number(number) else None


def _is_grouped(candidate: str, number: phonenumbers.PhoneNumber) -> bool:
    """In the groups in which its country writes it, so that a row of figures is no telephone number."""
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    return bool(_GROUP.findall(candidate) == _GROUP.findall(national))
