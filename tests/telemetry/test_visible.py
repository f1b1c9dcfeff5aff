"""What an operator sees stands for exactly one original, and nothing in it is hidden."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.canonical import canonical_bytes, parse
from telemetry.visible import original, pretty, visible
from tests.telemetry.test_canonical import values

HIDDEN = (
    "\u202e\u200b\u200d\u2066\ufeff\U000e0100\U000e0041\ufe0f\u00ad\u034f\u115f"
    "\u3164\uffa0\u2800\u00a0\u3000\u2028\x1b\x7f\x85\ue000\ud800\u180e\u17b4\U0001d159\u0378"
)
tricky = st.text(st.sampled_from("ab \n\t⟦⟧U+×0218E" + HIDDEN) | st.characters(exclude_categories=[]), max_size=40)


@pytest.mark.parametrize("char", HIDDEN, ids=lambda char: f"U+{ord(char):04X}")
def test_visible_escapes_when_a_character_is_hidden(char: str) -> None:
    assert visible(f"pay{char}ee") == f"pay⟦U+{ord(char):04X}⟧ee"


def test_visible_hides_nothing_when_given_every_character() -> None:
    shown = visible("".join(map(chr, [*range(0x30000), *range(0xE0000, 0xE1000)])))
    assert {unicodedata.category(char) for char in shown if char != " "} <= {
        *("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"),
        *("Sm", "Sc", "Sk", "So"),
    }


@pytest.mark.parametrize(
    ("text", "line", "block"),
    [
        ("plain é 漢字 😀", "plain é 漢字 😀", "plain é 漢字 😀"),
        ("a\nb\tc", "a⟦U+000A⟧b⟦U+0009⟧c", "a\nb⟦U+0009⟧c"),
        ("a" + " " * 10_000 + "b", "a⟦U+0020×10000⟧b", "a⟦U+0020×10000⟧b"),
        ("a" + " " * 8 + "b", "a        b", "a        b"),
        ("⟦U+202E⟧", "⟦U+27E6⟧U+202E⟧", "⟦U+27E6⟧U+202E⟧"),
        ("\u200b" * 40, "⟦U+200B×40⟧", "⟦U+200B×40⟧"),
    ],
)
def test_visible_reads_well_when_text_is_ordinary_or_hostile(text: str, line: str, block: str) -> None:
    assert (visible(text), visible(text, block=True)) == (line, block)


@given(tricky, st.booleans())
def test_original_gives_back_the_text_when_it_was_made_visible(text: str, block: bool) -> None:
    shown = visible(text, block=block)
    assert original(shown) == text
    assert block or "\n" not in shown


@given(tricky, tricky)
def test_visible_differs_when_texts_differ(one: str, other: str) -> None:
    assert (visible(one) == visible(other)) == (one == other)


@given(
    values
    | st.dictionaries(tricky.filter(lambda t: not _has_surrogate(t)), tricky.filter(lambda t: not _has_surrogate(t)))
)
def test_pretty_decodes_to_the_canonical_bytes_when_read_back(value: object) -> None:
    shown = pretty(value)
    assert canonical_bytes(parse(original(shown).encode())) == canonical_bytes(value)


def test_pretty_is_indented_and_in_full_when_shown() -> None:
    shown = pretty(
        {"to": "a\u202eb", "lines": ["x\ny", " " * 20], "amount": 1e22, "none": [], "deep": {"a": {"b": None}}}
    )
    assert shown == (
        '{\n  "to": "a⟦U+202E⟧b",\n  "lines": [\n    "x\\ny",\n    "⟦U+0020×20⟧"\n  ],\n  "amount": 1e+22,\n'
        '  "none": [],\n  "deep": {\n    "a": {\n      "b": null\n    }\n  }\n}'
    )
    assert "z" * 100_000 in pretty(["z" * 100_000])


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)
