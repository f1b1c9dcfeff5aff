"""Personal data of people who don't exist, in the sentences and the JSON in which such data stands."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import phonenumbers
from faker import Faker
from stdnum.cn import ric
from stdnum.de import idnr
from stdnum.dk import cpr
from stdnum.gb import nhs
from stdnum.in_ import aadhaar, pan
from stdnum.kr import rrn
from stdnum.mx import curp
from stdnum.za import idnr as za_idnr

Make = Callable[[Faker, random.Random], str]


@dataclass(frozen=True)
class Person:
    """`label` is how a form or a field in that country names it; empty where it needs none."""

    kind: str
    locale: str
    make: Make
    label: str


def _faker(method: str) -> Make:
    return lambda fake, _random: str(getattr(fake, method)())


def _valid(method: str, is_valid: Callable[[str], bool]) -> Make:
    """Faker's, less those that the country's own check refuses."""

    def make(fake: Faker, _random: random.Random) -> str:
        while not _passes(is_valid, found := str(getattr(fake, method)())):
            pass
        return found

    return make


def _passes(is_valid: Callable[[str], bool], number: str) -> bool:
    try:
        return is_valid(number)
    except KeyError:  # stdnum of a Chinese region that it half knows
        return False


def _phone(region: str) -> Make:
    return _valid("phone_number", lambda number: _is_in_a_plan(number, region))


def _is_in_a_plan(number: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


def _until(is_valid: Callable[[str], bool], guess: Callable[[random.Random], str]) -> Make:
    def make(_fake: Faker, chance: random.Random) -> str:
        while not is_valid(found := guess(chance)):
            pass
        return found

    return make


def _digits(count: int) -> Callable[[random.Random], str]:
    return lambda chance: "".join(chance.choices(string.digits, k=count))


def _date(chance: random.Random, form: str) -> str:
    year, month, day = chance.randint(40, 99), chance.randint(1, 12), chance.randint(1, 28)
    return form.format(y=year, m=month, d=day)


def _nino(_fake: Faker, chance: random.Random) -> str:
    return f"{chance.choice(['AB', 'CE', 'JR', 'PX', 'SY'])} {_digits(6)(chance)} {chance.choice('ABCD')}"


def _pan_guess(chance: random.Random) -> str:
    letters = "".join(chance.choices(string.ascii_uppercase, k=3))
    return (
        f"{letters}P{chance.choice(string.ascii_uppercase)}{_digits(4)(chance)}{chance.choice(string.ascii_uppercase)}"
    )


def _dashed_sin(fake: Faker, _random: random.Random) -> str:
    return fake.ssn().replace(" ", "-")


PEOPLE = (
    *(Person("email", locale, _faker("ascii_email"), "") for locale in ("en_US", "de_DE", "fr_FR", "pl_PL")),
    *(Person("iban", locale, _faker("iban"), "") for locale in ("de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "no_NO")),
    Person("card", "en_US", _faker("credit_card_number"), "card"),
    Person("phone", "en_US", _phone("US"), "phone"),
    Person("phone", "de_DE", _phone("DE"), "telefon"),
    Person("phone", "fr_FR", _phone("FR"), "téléphone"),
    Person("phone", "es_ES", _phone("ES"), "teléfono"),
    Person("phone", "en_IN", _phone("IN"), "mobile"),
    Person("us-ssn", "en_US", _faker("ssn"), "ssn"),
    Person("us-itin", "en_US", _faker("itin"), "itin"),
    Person("gb-nino", "en_GB", _nino, "national insurance"),
    Person("gb-nhs", "en_GB", _until(nhs.is_valid, _digits(10)), "nhs number"),
    Person("de-idnr", "de_DE", _until(idnr.is_valid, _digits(11)), "steuer-id"),
    Person("fr-nir", "fr_FR", _faker("ssn"), "numéro de sécurité sociale"),
    Person("it-codicefiscale", "it_IT", _faker("ssn"), "codice fiscale"),
    Person("es-dni", "es_ES", _faker("nif"), "dni"),
    Person("es-nie", "es_ES", _faker("nie"), "nie"),
    Person("nl-bsn", "nl_NL", _faker("ssn"), "bsn"),
    Person("be-nn", "nl_BE", _faker("ssn"), "rijksregisternummer"),
    Person("ch-ahv", "fr_CH", _faker("ssn"), "avs"),
    Person("se-personnummer", "sv_SE", _faker("ssn"), "personnummer"),
    Person("no-fodselsnummer", "no_NO", _faker("ssn"), "fødselsnummer"),
    Person(
        "dk-cpr",
        "dk_DK",
        _until(cpr.is_valid, lambda chance: _date(chance, "{d:02}{m:02}{y:02}-") + _digits(4)(chance)),
        "cpr",
    ),
    Person("fi-hetu", "fi_FI", _faker("ssn"), "henkilötunnus"),
    Person("pl-pesel", "pl_PL", _faker("ssn"), "pesel"),
    Person("tr-tckimlik", "tr_TR", _faker("ssn"), "tc kimlik"),
    Person("br-cpf", "pt_BR", _faker("cpf"), "cpf"),
    Person("mx-curp", "es_MX", _valid("curp", curp.is_valid), "curp"),
    Person("ca-sin", "en_CA", _dashed_sin, "social insurance"),
    Person("in-aadhaar", "en_IN", _valid("aadhaar_id", aadhaar.is_valid), "aadhaar"),
    Person("in-pan", "en_IN", _until(pan.is_valid, _pan_guess), "pan"),
    Person("kr-rrn", "ko_KR", _valid("ssn", rrn.is_valid), "resident registration"),
    Person("cn-ric", "zh_CN", _valid("ssn", ric.is_valid), "身份证号"),
    Person(
        "za-idnr",
        "en_GB",
        _until(za_idnr.is_valid, lambda chance: _date(chance, "{y:02}{m:02}{d:02}") + _digits(7)(chance)),
        "id number",
    ),
)
_LABELLED = (
    "{label}: {value}",
    '{{"name": "Alice", "{label}": "{value}", "active": true}}',
    "Please update the record, my {label} is {value}, thank you.",
    "{label} {value}",
)
_BARE = (
    "Alice wrote {value} on the form.",
    '{{"a": "{value}", "b": 3}}',
    "forwarded to the team\n{value}\nregards",
    "value={value};",
)


def people(seed: int, each: int = 48) -> Iterator[tuple[str, str, bool]]:
    """(kind, text, whether its label is there), as many with as without."""
    chance = random.Random(seed)
    for person in PEOPLE:
        fake = Faker(person.locale)
        fake.seed_instance(seed)
        label = person.label or person.kind
        for number in range(each):
            templates = _LABELLED if number % 2 else _BARE
            value = person.make(fake, chance)
            yield person.kind, chance.choice(templates).format(label=label, value=_as_json(value)), bool(number % 2)


def _as_json(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]
