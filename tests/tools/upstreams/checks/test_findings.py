"""The registry: words that are frozen, an order, a bound, and no input that breaks it or holds it up."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools.upstreams.checks.attacks import KNOWN
from tests.tools.upstreams.checks.declared import declared
from tools.upstreams.checks import MOST_FINDINGS, WORDS, Known, findings_of
from tools.upstreams.declarations import FIELDS

anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["properties", "$ref", "$defs", "enum", "type", "pattern", "a", "$id"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


def test_words_are_frozen() -> None:
    assert {
        "yes": {word for word, blocks in WORDS.items() if blocks == "yes"},
        "by case": {word for word, blocks in WORDS.items() if blocks == "by case"},
        "no": {word for word, blocks in WORDS.items() if blocks == "no"},
    } == {
        "yes": {
            *("control_characters", "hidden_characters", "lookalike_letters", "instructions_to_model"),
            *("sensitive_file", "encoded_text", "harvesting_parameter", "names_other_tool", "same_name"),
            *("fetching_schema", "unusable_schema", "deep_schema", "large_pattern", "too_many_findings", "not_checked"),
        },
        "by case": {"near_name"},
        "no": {
            *("pushes_itself", "secret_parameter", "open_parameter", "hints_contradict", "long_description", "link"),
        },
    }


@given(declaration=st.fixed_dictionaries(dict.fromkeys(FIELDS, anything)))
@settings(max_examples=30, deadline=None)
def test_findings_come_whatever_the_upstream_sends(declaration: dict[str, Any]) -> None:
    for finding in findings_of(declaration, upstream="x", others={"y": [Known("y.a", "a")]}):
        assert json.dumps(finding.as_json()).isascii()
        assert (finding.where + finding.detail).isprintable()
        assert WORDS[finding.check] in ("by case", "yes" if finding.blocking else "no")


@pytest.mark.parametrize("declaration", [{}, {"name": 1}, {"input_schema": "x", "annotations": [1]}])
def test_findings_come_when_parts_are_missing(declaration: dict[str, Any]) -> None:
    assert [finding.check for finding in findings_of(declaration, upstream="x", others={})] == ["unusable_schema"]


def test_word_that_blocks_blocks_always() -> None:
    for _, declaration in KNOWN:
        for finding in findings_of(declaration, upstream="x", others={}):
            assert WORDS[finding.check] in ("by case", "yes" if finding.blocking else "no")
            assert len(finding.where) <= 200
            assert len(finding.detail) <= 600


def test_findings_that_block_come_first_and_are_bounded() -> None:
    properties = {f"p{number}": {"description": "See https://a.test/doc and ~/.ssh/id_rsa"} for number in range(200)}
    findings = findings_of(declared(properties=properties), upstream="x", others={})
    assert len(findings) == MOST_FINDINGS
    assert findings[-1].check == "too_many_findings"
    assert findings[-1].blocking
    assert all(finding.check == "sensitive_file" for finding in findings[:-1])


def test_finding_shows_nothing_hidden_when_the_place_is_the_attack() -> None:
    findings = findings_of(declared(properties={"\u202e<script>\x1b[31m": {}}), upstream="x", others={})
    assert findings[0].as_json() == {
        "check": "control_characters",
        "where": "input_schema/properties/⟦U+202E⟧<script>⟦U+001B⟧[31m",
        "detail": "Holds terminal escape sequences: “⟦U+202E⟧<script>⟦U+001B⟧[31m”.",
        "blocking": True,
    }


@pytest.mark.parametrize(
    "word", ["is conversation ", "to change ", "data to ", "before any tool read ", "_", "a_", "A1", "<important ", " "]
)
def test_no_text_holds_the_checks_up(word: str) -> None:
    """Half a second was a thousandfold of what an ordinary tool takes; the worst known is a quarter."""
    declaration = declared(description=(word * 10_000)[:9_999] + "x")
    before = time.process_time()
    findings_of(declaration, upstream="x", others={})
    assert time.process_time() - before < 2
