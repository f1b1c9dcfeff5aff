"""National identity numbers: their shapes, their check digits, and the words by which weak ones are known.

A shape is written with 9 for a digit and A for a letter. One that other numbers have too counts only with a label.
Source: the rules of each country as python-stdnum has them; GOV.UK, NIM39110 for the National Insurance number.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from stdnum.be import nn
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cn import ric
from stdnum.de import idnr
from stdnum.dk import cpr
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.in_ import aadhaar, pan
from stdnum.it import codicefiscale
from stdnum.kr import rrn
from stdnum.mx import curp
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.pl import pesel
from stdnum.se import personnummer
from stdnum.tr import tckimlik
from stdnum.us import itin, ssn
from stdnum.za import idnr as za_idnr

from telemetry.detectors.detector import Finding
from telemetry.detectors.labels import around, has_one

_LABELLED = 0.95
_STRONG = 0.9
_FAIR = 0.6

_NINO = re.compile(r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]")


def _is_nino(number: str) -> bool:
    return _NINO.fullmatch(number.replace(" ", "").upper()) is not None


def _is_nir(number: str) -> bool:
    """With a month: its check digits alone would let one number in a hundred pass."""
    compact = number.replace(" ", "")
    return compact[0] in "12" and compact[3:5] <= "12" and bool(nir.is_valid(number))


@dataclass(frozen=True, slots=True)
class NationalId:
    """`distinct`: shapes that need no label, and `score` what they are worth without one."""

    kind: str
    is_valid: Callable[[str], bool]
    labels: tuple[str, ...]
    distinct: tuple[str, ...] = ()
    with_label: tuple[str, ...] = ()
    score: float = _FAIR


_NINE, _TEN, _ELEVEN, _TWELVE, _THIRTEEN = ("9" * digits for digits in (9, 10, 11, 12, 13))
_PERSON = ("personnummer", "personal identity number", "personal number", "pnr")

NATIONAL_IDS = (
    NationalId(
        "us-ssn",
        ssn.is_valid,
        ("ssn", "social security", "social security number", "soc sec", "taxpayer", "tin"),
        ("999-99-9999",),
        (_NINE, "999 99 9999"),
    ),
    NationalId("us-itin", itin.is_valid, ("itin", "taxpayer", "tin"), ("999-99-9999",)),
    NationalId(
        "gb-nino",
        _is_nino,
        ("nino", "ni", "national insurance", "nin"),
        ("AA 99 99 99 A", "AA 999999 A", "AA999999A"),
    ),
    NationalId("gb-nhs", nhs.is_valid, ("nhs", "nhs number", "patient"), (), ("999 999 9999", "999-999-9999", _TEN)),
    NationalId(
        "de-idnr",
        idnr.is_valid,
        (
            "idnr",
            "steuer",
            "steuer id",
            "steueridentifikationsnummer",
            "steuernummer",
            "identifikationsnummer",
            "tax id",
        ),
        ("99 999 999 999",),
        (_ELEVEN,),
    ),
    NationalId(
        "fr-nir",
        _is_nir,
        (
            "nir",
            "insee",
            "sécurité sociale",
            "securite sociale",
            "numéro de sécurité sociale",
            "vitale",
            "social security",
        ),
        ("9 99 99 99 999 999 99", "9 99 99 9A 999 999 99", "9" * 15, "999999A99999999"),
    ),
    NationalId(
        "it-codicefiscale", codicefiscale.is_valid, ("codice fiscale", "cf"), ("AAAAAA99A99A999A",), (), _STRONG
    ),
    NationalId(
        "es-dni",
        dni.is_valid,
        ("dni", "nif", "documento", "identidad", "identificación"),
        (),
        ("99999999A", "99999999-A"),
    ),
    NationalId(
        "es-nie", nie.is_valid, ("nie", "nif", "dni", "extranjero", "identidad"), (), ("A9999999A", "A-9999999-A")
    ),
    NationalId(
        "nl-bsn",
        bsn.is_valid,
        ("bsn", "burgerservicenummer", "sofinummer", "citizen service number"),
        (),
        (_NINE, "9999.99.999", "9999 99 999"),
    ),
    NationalId(
        "be-nn",
        nn.is_valid,
        ("rijksregisternummer", "rijksregister", "registre national", "national number", "nn", "insz", "niss"),
        ("99.99.99-999.99",),
        (_ELEVEN,),
        _STRONG,
    ),
    NationalId(
        "ch-ahv", ahv.is_valid, ("ahv", "avs", "ahv nummer", "numéro avs"), ("999.9999.9999.99", _THIRTEEN), (), _STRONG
    ),
    NationalId(
        "se-personnummer",
        personnummer.is_valid,
        _PERSON,
        ("999999-9999", "999999+9999", "99999999-9999"),
        (_TEN, _TWELVE),
    ),
    NationalId(
        "no-fodselsnummer",
        fodselsnummer.is_valid,
        (*_PERSON, "fødselsnummer", "fodselsnummer", "fnr"),
        ("999999 99999",),
        (_ELEVEN,),
    ),
    NationalId("dk-cpr", cpr.is_valid, (*_PERSON, "cpr", "cpr nummer", "cpr nr"), (), ("999999-9999", _TEN)),
    NationalId(
        "fi-hetu",
        hetu.is_valid,
        ("hetu", "henkilötunnus", "henkilotunnus", "personbeteckning"),
        ("999999-999A", "999999A999A", "999999A9999", "999999-9999"),
    ),
    NationalId("pl-pesel", pesel.is_valid, ("pesel", "numer pesel"), (), (_ELEVEN,)),
    NationalId("tr-tckimlik", tckimlik.is_valid, ("kimlik", "tc kimlik", "tckn", "tc"), (), (_ELEVEN,)),
    NationalId("br-cpf", cpf.is_valid, ("cpf", "cadastro"), ("999.999.999-99",), (_ELEVEN,), _STRONG),
    NationalId("mx-curp", curp.is_valid, ("curp",), ("AAAA999999AAAAAA99", "AAAA999999AAAAAAA9"), (), _STRONG),
    NationalId("ca-sin", sin.is_valid, ("sin", "social insurance", "nas"), (), ("999 999 999", "999-999-999", _NINE)),
    NationalId(
        "in-aadhaar",
        aadhaar.is_valid,
        ("aadhaar", "aadhar", "uidai", "uid"),
        (),
        ("9999 9999 9999", "9999-9999-9999", _TWELVE),
    ),
    NationalId("in-pan", pan.is_valid, ("pan", "permanent account", "income tax"), (), ("AAAAA9999A",)),
    NationalId(
        "kr-rrn", rrn.is_valid, ("rrn", "resident registration", "주민등록번호"), ("999999-9999999",), (_THIRTEEN,)
    ),
    NationalId(
        "cn-ric",
        ric.is_valid,
        ("身份证", "身份证号", "身份证号码", "resident identity", "id card"),
        ("9" * 18, "9" * 17 + "A"),
        (),
        _STRONG,
    ),
    NationalId(
        "za-idnr",
        za_idnr.is_valid,
        ("id number", "identity number", "rsa id", "sa id"),
        (),
        (_THIRTEEN, "999999 9999 999"),
    ),
)


def _by_shape() -> dict[str, tuple[NationalId, ...]]:
    found = defaultdict(list)
    for known in NATIONAL_IDS:
        for shape in known.distinct + known.with_label:
            found[shape].append(known)
    return {shape: tuple(ids) for shape, ids in found.items()}


_IDS = _by_shape()
_LETTER_OR_DIGIT = {"9": "[0-9]", "A": "[A-Za-z]"}


def _pattern(shape: str) -> str:
    return "".join(f"{_LETTER_OR_DIGIT.get(char, re.escape(char))}{{{len(list(run))}}}" for char, run in groupby(shape))


def _any_of(shapes: Iterable[str]) -> str:
    """The longest first, so that no number is taken for its beginning."""
    return "|".join(_pattern(shape) for shape in sorted(shapes, key=lambda shape: (-len(shape), shape)))


# Behind each look ahead, which most words and short numbers don't pass, stand the shapes. `\n` in JSON is a line's end.
_SHAPED = re.compile(
    r"(?:(?<![\w.+/@-])|(?<=\\[nrt]))(?:"
    rf"(?=[0-9](?:[ .+-]?[0-9A-Za-z]){{8}})(?:{_any_of(shape for shape in _IDS if shape[0] == '9')})"
    rf"|(?=[A-Za-z]{{1,6}}[ -]?[0-9])(?:{_any_of(shape for shape in _IDS if shape[0] == 'A')})"
    r")(?!\w|[-+/.@]\w)"
)
_SHAPE = str.maketrans(
    {**{str(digit): "9" for digit in range(10)}, **{chr(code): "A" for code in (*range(65, 91), *range(97, 123))}}
)
_DIGIT_BEHIND = re.compile(r"[ -][0-9]")


def national_ids_in(text: str) -> Iterator[Finding]:
    """The first known number of each place, where its check digits are right and, if need be, its label is near."""
    for match in _SHAPED.finditer(text):
        number, (start, end) = match[0], match.span()
        if " " in number and _is_part_of_a_row(text, start, end):
            continue
        shape, words = number.translate(_SHAPE), around(text, start, end)
        # Check digits cost more than words: most numbers have neither.
        for known, is_labelled in _likely(shape, words):
            if _is_valid(known, number):
                yield Finding(known.kind, start, end, _LABELLED if is_labelled else known.score)
                break


def _likely(shape: str, words: str) -> Iterator[tuple[NationalId, bool]]:
    """Which ones it may be: those whose label is there, then those that need none."""
    labelled = [known for known in _IDS[shape] if has_one(words, known.labels)]
    yield from ((known, True) for known in labelled)
    yield from ((known, False) for known in _IDS[shape] if shape in known.distinct and known not in labelled)


def _is_valid(one: NationalId, number: str) -> bool:
    """No rule of a country may fail a call: a region that a table half knows raised KeyError."""
    try:
        return one.is_valid(number)
    except Exception:
        return False


def _is_part_of_a_row(text: str, start: int, end: int) -> bool:
    """Groups of digits among more of them: a card, a table."""
    return text[max(0, start - 2) : start - 1].isdigit() or _DIGIT_BEHIND.match(text, end) is not None
