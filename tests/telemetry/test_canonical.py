"""JSON at the door: what is refused and why, and the bytes that everything else derives from."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.canonical import LARGEST_INTEGER, NotCanonical, canonical_bytes, digest, parse

REFUSED = [
    (b'{"a":1,"a":2}', "duplicate_key"),
    (b'{"a":1,"\\u0061":2}', "duplicate_key"),
    (b'[{"b":{"a":1,"a":1}}]', "duplicate_key"),
    (b"NaN", "number_not_representable"),
    (b"[-Infinity]", "number_not_representable"),
    (b"1e400", "number_not_representable"),
    (b"-1e400", "number_not_representable"),
    (b"1e-400", "number_not_representable"),
    (b"1e99999999999999999999", "number_not_representable"),
    (b"1e-99999999999999999999", "number_not_representable"),
    (b"9007199254740992", "number_not_representable"),
    (b"-9007199254740993", "number_not_representable"),
    (b"9007199254740993.0", "number_not_representable"),
    (b"1e20", "number_not_representable"),
    (b"0.1000000000000000055", "number_not_representable"),
    (b"9" * 4300, "number_not_representable"),
    (b"-" + b"9" * 4301, "number_not_representable"),
    (b"0." + b"1" * 100_000, "number_not_representable"),
    (b"[" * 33 + b"]" * 33, "too_deep"),
    (b'{"a":' * 33 + b"1" + b"}" * 33, "too_deep"),
    (b'"\\ud800"', "invalid_unicode"),
    (b'{"\\uDfff":1}', "invalid_unicode"),
    (b'"\xff"', "malformed_json"),
    (b'"\xed\xa0\x80"', "malformed_json"),
    (b"\xef\xbb\xbf{}", "malformed_json"),
    (b"", "malformed_json"),
    (b"{} {}", "malformed_json"),
    (b"{'a':1}", "malformed_json"),
    (b"[1,]", "malformed_json"),
    (b"01", "malformed_json"),
    (b'"a\nb"', "malformed_json"),
    (b'"' + b"a" * 262_144 + b'"', "too_large"),
]

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda f: not 2**53 <= abs(f) < 1e21)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(("body", "code"), REFUSED)
def test_parse_refuses_by_code_when_a_body_has_no_canonical_form(body: bytes, code: str) -> None:
    with pytest.raises(NotCanonical) as refusal:
        parse(body)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000,
        b'["' + b'\\"' * 131_000,
        b'"' * 262_144,
        b"[]," * 87_000,
        b"9" * 262_000,
        b"0." + b"9" * 262_000,
        b'{"a":1,' * 37_000,
    ],
    ids=["deep", "deep objects", "open string", "quotes", "flat", "long integer", "long fraction", "deep and cut"],
)
def test_parse_answers_in_under_100_ms_when_a_body_is_hostile(body: bytes) -> None:
    begin = time.perf_counter()
    with pytest.raises(NotCanonical):
        parse(body)
    assert time.perf_counter() - begin < 0.1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"1.0", b"1"),
        (b"-0", b"0"),
        (b"-0.0", b"0"),
        (b"0.50", b"0.5"),
        (b"1e3", b"1000"),
        (b"1e22", b"1e+22"),
        (b"9007199254740991", b"9007199254740991"),
        (b'{"b":1,"a":[true,null]}', b'{"a":[true,null],"b":1}'),
        (b'"\\ud83d\\ude00\\u00e9"', '"😀é"'.encode()),
        (b'"\\u0000\\u001b"', b'"\\u0000\\u001b"'),
        (b'"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["', b'"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["'),
        (b"[" * 32 + b"]" * 32, b"[" * 32 + b"]" * 32),
        ('{"\U0001f600":1,"\ufb33":2}'.encode(), '{"\U0001f600":1,"\ufb33":2}'.encode()),
    ],
)
def test_canonical_bytes_are_those_of_rfc_8785_when_a_body_is_accepted(body: bytes, expected: bytes) -> None:
    assert canonical_bytes(parse(body)) == expected


@given(values)
def test_parse_gives_back_the_value_when_it_reads_canonical_bytes(value: object) -> None:
    written = canonical_bytes(value)
    read = parse(written)
    assert read == value
    assert canonical_bytes(read) == written


@given(values)
def test_parse_equals_the_parse_of_its_canonical_bytes_when_the_body_is_not_canonical(value: object) -> None:
    read = parse(json.dumps(value, indent=1).encode())
    again = parse(canonical_bytes(read))
    assert repr(again) == repr(_sorted(read))


def test_canonical_bytes_refuses_by_code_when_a_value_is_not_json() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    for value, code in [
        (float("nan"), "number_not_representable"),
        (2**53, "number_not_representable"),
        (10**5000, "number_not_representable"),
        ("\ud800", "invalid_unicode"),
        ({"\ud800": 1}, "invalid_unicode"),
        ({1: 2}, "malformed_json"),
        (object(), "malformed_json"),
        (cycle, "too_deep"),
    ]:
        with pytest.raises(NotCanonical) as refusal:
            canonical_bytes(value)
        assert refusal.value.code == code


def test_digest_is_lower_case_hex_when_given_bytes() -> None:
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {k: _sorted(value[k]) for k in sorted(value, key=lambda k: k.encode("utf-16-be"))}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
