"""The same configuration has the same hash, and two that differ never do; the same for signals."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.canonical import LARGEST_INTEGER, canonical_bytes
from telemetry.fingerprints import canonical_text, fingerprint, rules_hash

numbers = st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda number: not 2**53 <= abs(number) < 1e21
)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)

SAME = [
    ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}, "order of keys"),
    ({"pii": 0.0}, {"pii": 0}, "a whole number is one number"),
    ({"tools": {"b", "a"}}, {"tools": ["a", "b"]}, "a set is its sorted list"),
    ({"tools": frozenset({"b", "a"})}, {"tools": {"a", "b"}}, "each kind of set"),
    ({"a": ("x", 1)}, {"a": ["x", 1]}, "a tuple is a list"),
]
DIFFERENT = [
    ({"a": 1}, {"a": "1"}, "a number is no text"),
    ({"a": None}, {}, "null is something"),
    ({"a": True}, {"a": 1}, "true is no number"),
    ({"a": ["x", "y"]}, {"a": ["y", "x"]}, "a list has its order"),
    ({"a": 0.3}, {"a": 0.30000000000000004}, "every digit counts"),
]
REFUSED = [
    ({"a": float("nan")}, "not a number"),
    ({"a": float("inf")}, "no number either"),
    ({"a": 2**53}, "no exact double"),
    ({"a": float(2**60)}, "no exact double either"),
    ({1: "a"}, "a key that is no text"),
    ({"a": {1, 2}}, "a set of what is no text"),
    ({"a": b"x"}, "bytes"),
    ({"a": "\ud800"}, "half a character"),
    ({"\udfff": 1}, "half a character in a key"),
]
NUMBERS = [
    (0.3, "0.3"),
    (-0.0, "0"),
    (1e-05, "0.00001"),
    (-1.5e-06, "-0.0000015"),
    (1e-06, "0.000001"),
    (1e-07, "1e-7"),
    (1.5e-10, "1.5e-10"),
    (5e-324, "5e-324"),
    (1e21, "1e+21"),
    (-1.7976931348623157e308, "-1.7976931348623157e+308"),
    (9007199254740991, "9007199254740991"),
]


@pytest.mark.parametrize(("one", "other", "why"), SAME)
def test_two_configurations_have_one_hash_when_they_say_the_same(one, other, why):
    assert rules_hash(one) == rules_hash(other), why


@pytest.mark.parametrize(("one", "other", "why"), DIFFERENT)
def test_two_configurations_have_two_hashes_when_they_differ(one, other, why):
    assert rules_hash(one) != rules_hash(other), why


@pytest.mark.parametrize(("configuration", "why"), REFUSED)
def test_a_configuration_that_is_not_json_has_no_hash(configuration, why):
    with pytest.raises(ValueError, match=r"^[^\ud800-\udfff]+$"):
        rules_hash(configuration)


@pytest.mark.parametrize(("number", "written"), NUMBERS)
def test_a_number_is_written_as_ecmascript_writes_it(number, written):
    assert canonical_text(number) == written == canonical_bytes(number).decode()


@given(values)
def test_canonical_text_is_what_the_package_makes(value):
    assert canonical_text(value).encode() == canonical_bytes(value)


def test_the_hash_is_sha256_of_the_canonical_text():
    assert rules_hash({"b": [1, 0.5], "a": "é"}) == hashlib.sha256('{"a":"é","b":[1,0.5]}'.encode()).hexdigest()


def test_names_are_ordered_by_utf16_and_not_by_code_points():
    assert list(json.loads(canonical_text({"\ufb33": 1, "\U0001f600": 2}))) == ["\U0001f600", "\ufb33"]


def test_a_fingerprint_is_sixteen_hex_digits_of_the_five_joined():
    expected = hashlib.sha256(b"builtin:pii:mcp:gpt-4:ab12").hexdigest()[:16]
    assert fingerprint("builtin", "pii", "mcp", "gpt-4", "ab12") == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a:b", "c", "mcp", "m", "r"), ("a", "b:c", "mcp", "m", "r")),
        (("a", "b", "mcp", "m:r", ""), ("a", "b", "mcp", "m", ":r")),
        (("a%3Ab", "c", "mcp", "m", "r"), ("a:b", "c", "mcp", "m", "r")),
        (("a", "b", "mcp", "m", "r"), ("a", "b", "output", "m", "r")),
    ],
)
def test_two_signals_have_two_fingerprints_when_a_colon_moves(one, other):
    assert fingerprint(*one) != fingerprint(*other)


@given(st.lists(st.tuples(*[st.text(alphabet="a:%3A")] * 5), min_size=2, max_size=2, unique=True))
def test_no_two_signals_share_a_fingerprint(pair):
    assert fingerprint(*pair[0]) != fingerprint(*pair[1])
