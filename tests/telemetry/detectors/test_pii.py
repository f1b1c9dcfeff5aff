"""Personal data by form, check digits and label; and what only looks like it."""

import pytest

from telemetry.detectors.detector import Detection
from telemetry.detectors.national_ids import NATIONAL_IDS
from telemetry.detectors.pii import Pii

FOUND = [
    ("write to alice.smith@example.com today", "email", "alice.smith@example.com"),
    ("åsa@exämple.se", "email", "åsa@exämple.se"),
    ("IBAN DE89 3704 0044 0532 0130 00.", "iban", "DE89 3704 0044 0532 0130 00"),
    ("gb29nwbk60161331926819", "iban", "gb29nwbk60161331926819"),
    ("paid with 4111 1111 1111 1111 123", "card", "4111 1111 1111 1111"),
    ('{"n": 4111111111111111}', "card", "4111111111111111"),
    ("3782-822463-10005", "card", "3782-822463-10005"),
    ("card 36227206271667", "card", "36227206271667"),
    ("call me: (415) 555-2671", "phone", "(415) 555-2671"),
    ("415-555-2671x158", "phone", "415-555-2671"),
    ('{"phone": "4155552671"}', "phone", "4155552671"),
    ('{"userPhone": "4155552671"}', "phone", "4155552671"),
    ("+44 20 8366 1177", "phone", "+44 20 8366 1177"),
    ("+49 30 901820 42 Euro", "phone", "+49 30 901820 42"),
    ("telefon: 030 901820", "phone", "030 901820"),
    ("line\\n+44 20 8366 1177", "phone", "+44 20 8366 1177"),
    ("she has 536-90-4399", "us-ssn", "536-90-4399"),
    ("ssn=536904399", "us-ssn", "536904399"),
    ("itin 912-90-3457", "us-itin", "912-90-3457"),
    ("AB 12 34 56 C", "gb-nino", "AB 12 34 56 C"),
    ("NHS number 943 476 5870", "gb-nhs", "943 476 5870"),
    ("36 574 261 809", "de-idnr", "36 574 261 809"),
    ("Steuer-ID: 36574261809", "de-idnr", "36574261809"),
    ("1 85 05 78 006 084 91", "fr-nir", "1 85 05 78 006 084 91"),
    ("RCCMNL83S18D969H", "it-codicefiscale", "RCCMNL83S18D969H"),
    ("DNI 54362315-K", "es-dni", "54362315-K"),
    ("su nie es x2482300w", "es-nie", "x2482300w"),
    ("bsn: 1112.22.333", "nl-bsn", "1112.22.333"),
    ("burgerservicenummer 111222333", "nl-bsn", "111222333"),
    ("85.07.30-033.28", "be-nn", "85.07.30-033.28"),
    ("756.9217.0769.85", "ch-ahv", "756.9217.0769.85"),
    ("880320-0016", "se-personnummer", "880320-0016"),
    ("fødselsnummer 15108695088", "no-fodselsnummer", "15108695088"),
    ("cpr 211062-5629", "dk-cpr", "211062-5629"),
    ("131052-308T", "fi-hetu", "131052-308T"),
    ("PESEL 44051401359", "pl-pesel", "44051401359"),
    ("tc kimlik 17291716060", "tr-tckimlik", "17291716060"),
    ("390.533.447-05", "br-cpf", "390.533.447-05"),
    ('{"cpf": "39053344705"}', "br-cpf", "39053344705"),
    ("BOXW310820HNERXN09", "mx-curp", "BOXW310820HNERXN09"),
    ("social insurance 123-456-782", "ca-sin", "123-456-782"),
    ("Aadhaar 2341 2341 2346", "in-aadhaar", "2341 2341 2346"),
    ("pan: ACUPA7085R", "in-pan", "ACUPA7085R"),
    ("971013-9019902", "kr-rrn", "971013-9019902"),
    ("360426199101010071", "cn-ric", "360426199101010071"),
    ("id number 7503305044089", "za-idnr", "7503305044089"),
]
NOT_FOUND = [
    ("npm install lodash@4.17.21", "a package"),
    ("git clone git@github.com:a/b.git", "a repository"),
    ("logo@2x.png", "a picture"),
    ("getty@tty1.service", "a unit"),
    ("192.168.10.24:8443", "an address of a machine"),
    ("2026-11-29 14:33:04", "a time"),
    ("1700000000 1700000000000 1700000000000000", "times as numbers"),
    ("4155552671", "ten digits that nothing calls a telephone"),
    ("call 4155552671 finished", "a call that is no telephone's"),
    ("0.4111111111111111", "a fraction"),
    ("4111111111111112", "wrong check digit"),
    ("a4111111111111111f", "part of a hash"),
    ("2222 4111 1111 1111 1111 2222", "a row of a table"),
    ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", "an id"),
    ("536-90-43990", "one digit more"),
    ("000-12-3456 666-12-3456 536-00-4399", "numbers that are never given"),
    ("order-536-90-4399", "part of an order's number"),
    ("111222333", "nine digits without a label"),
    ("44051401359", "eleven digits without a label"),
    ("54362315K", "one letter of 23, without a label"),
    ("2341 2341 2346", "one check digit, without a label"),
    ("bsn 111222334", "a label, but a wrong check digit"),
    ("DE89 3704 0044 0532 0130 01", "wrong check digits"),
    ("v1.2.3 (build 20261129.4)", "a version"),
    ("848 416 4781 2145", "a row of figures"),
    ("41 55 55 26 71", "digits of a telephone in nobody's groups"),
    ("415 555 2671 12", "a row of figures that begins like one"),
    ("ZZ 12 34 56 C", "letters that are never given"),
    ("620201195008028602", "a region of China that a table half knows"),
]


@pytest.mark.parametrize(("text", "kind", "datum"), FOUND)
@pytest.mark.parametrize("around", ["{}", "first line\n{}\nlast line", '{{"note": "{}"}}', "({})"])
def test_detect_finds_personal_data_where_it_stands(text: str, kind: str, datum: str, around: str) -> None:
    whole = around.format(text)
    detection = Pii().detect(whole)
    assert kind in detection.kinds, detection
    assert detection.score > 0.5
    finding = next(finding for finding in detection.findings if finding.kind == kind)
    assert whole[finding.start : finding.end] == datum


@pytest.mark.parametrize(("text", "why"), NOT_FOUND)
@pytest.mark.parametrize("around", ["{}", "first line\n{}\nlast line", '{{"note": "{}"}}'])
def test_detect_finds_nothing_when_it_only_looks_like_it(text: str, why: str, around: str) -> None:
    assert Pii().detect(around.format(text)) == Detection(), why


def test_every_national_id_is_found_by_an_example() -> None:
    assert {one.kind for one in NATIONAL_IDS} <= {kind for _, kind, _ in FOUND}


@pytest.mark.parametrize(
    ("region", "text", "is_found"),
    [
        ("US", "020 8366 1177", False),
        ("GB", "020 8366 1177", True),
        ("US", "(415) 555-2671", True),
        ("GB", "(415) 555-2671", False),
        (None, "(415) 555-2671", False),
        (None, "+1 415 555 2671", True),
    ],
)
def test_region_says_whose_numbers_are_known_without_a_plus(region: str | None, text: str, is_found: bool) -> None:
    assert bool(Pii(region).detect(text).findings) is is_found


def test_a_label_makes_a_finding_surer() -> None:
    bare, labelled = Pii().detect("536-90-4399"), Pii().detect("ssn 536-90-4399")
    assert 0.5 < bare.score < labelled.score


def test_characters_belong_to_one_finding() -> None:
    detection = Pii().detect("card 4111 1111 1111 1111, phone +44 20 8366 1177, alice@example.com")
    assert [finding.kind for finding in detection.findings] == ["card", "phone", "email"]
