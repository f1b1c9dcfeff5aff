"""The integrity score: each signal by a table, then what holds for every input."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.scoring import (
    Signals,
    Weights,
    composite_score,
    is_blocked,
    numeric_variance,
    output_instability,
    prompt_drift,
    prompt_hash,
    signals_of,
)

WORDS = [
    ("pay 100 to bob", "pay 100 to bob", 0.0),
    ("Pay 100, to Bob!", "pay 100 to “bob”.", 0.0),
    ("pay pay pay", "pay", 0.0),
    ("one two", "three four", 1.0),
    ("a b c", "a b d", 0.5),
    ("a b", "a", 0.5),
    ("a b", "", 1.0),
    ("", " \n", None),
    ("👍", "👎", 1.0),
    ("!!!", "!!!", 0.0),
    ("...", "???", 1.0),
    ("caf\u00e9", "cafe\u0301", 0.0),
    ("Straße", "STRASSE", 0.0),
    ("a b c d e f g", "a b c d e f h", 0.25),
    ("a b", "a c", 0.666667),
]
NUMBERS = [
    ("no numbers", "none here", None),
    ("pay 100", "pay something", 1.0),
    ("pay something", "pay 100", 1.0),
    ("100", "100", 0.0),
    ("100", "150", 0.5),
    ("150", "100", 0.333333),
    ("100", "300", 1.0),
    ("100 and 10", "150 and 10", 0.25),
    ("100 and 10", "100", 0.0),
    ("0", "0", 0.0),
    ("0", "1", 1.0),
    ("-5", "5", 1.0),
    ("\u22125", "-5", 0.0),
    ("1,000.50", "1000.5", 0.0),
    ("1,000", "1", 0.999),
    ("1,00", "1 00", 0.0),
    ("2e3", "2000", 0.0),
    (".5", "0.5", 0.0),
    ("2026-01-02", "2026 1 2", 0.0),
    ("acct_123", "acct_124", 0.00813),
    ("\u0661\u0660", "10", 0.0),
    # The mean is cut, not its parts: one amount that is far off says all.
    ("1 1 1 1", "1 1 1 9", 1.0),
    ("9" * 5000, "9" * 5000, 0.0),
    ("9" * 5000, "8" * 5000, 1.0),
    ("1e999", "1e998", 1.0),
    ("1e-999", "0", 0.0),
    ("nan inf", "NaN Infinity", None),
]
HASHED_ALIKE = [
    ("Pay the bill", "  pay\tTHE\n\nbill\u00a0"),
    ("caf\u00e9", "cafe\u0301"),
    ("Straße", "strasse"),
]
SCORES = [
    (Signals(0.0, 0.0, 0.0), Weights(), 0.0),
    (Signals(1.0, 1.0, 1.0), Weights(), 1.0),
    (Signals(0.4, 0.5, 1.0), Weights(), 0.55),
    (Signals(0.4, 0.5, None), Weights(), 0.4375),
    (Signals(0.4, None, None), Weights(), 0.4),
    (Signals(None, None, 1.0), Weights(), 1.0),
    (Signals(0.4, None, 1.0), Weights(0.5, 0.3, 0.0), 0.4),
    (Signals(), Weights(), None),
    (Signals(None, None, 1.0), Weights(0.5, 0.3, 0.0), None),
    (Signals(0.5, 0.5, 0.5), Weights(0.0, 0.0, 0.0), None),
    (Signals(0.5, 0.5, 0.5), Weights(math.nan, 0.0, 0.0), None),
    (Signals(0.5, 0.5, 0.5), Weights(math.inf, 0.0, 0.0), None),
]


@pytest.mark.parametrize(("a", "b", "expected"), WORDS)
def test_output_instability_is_the_share_of_words_that_differ(a, b, expected):
    assert output_instability(a, b) == expected


@pytest.mark.parametrize(("a", "b", "expected"), NUMBERS)
def test_numeric_variance_is_the_mean_deviation_cut_at_1(a, b, expected):
    assert numeric_variance(a, b) == expected


@pytest.mark.parametrize(("a", "b"), HASHED_ALIKE)
def test_a_prompt_has_the_same_hash_however_it_is_spaced_and_cased(a, b):
    assert prompt_hash(a) == prompt_hash(b)
    assert prompt_hash(a) != prompt_hash(a + " now")
    assert len(prompt_hash(a)) == 64


def test_no_prompt_has_no_hash():
    assert prompt_hash("") == prompt_hash(" \t\n") == ""


def test_drift_is_known_only_against_a_baseline():
    approved = prompt_hash("pay the bill")
    assert prompt_drift(approved, approved) == 0.0
    assert prompt_drift(prompt_hash("pay it twice"), approved) == 1.0
    assert prompt_drift("", approved) == 1.0
    assert prompt_drift(approved, None) is None
    assert prompt_drift("", None) is None


@pytest.mark.parametrize(("signals", "weights", "expected"), SCORES)
def test_the_composite_score_weighs_what_is_present(signals, weights, expected):
    assert composite_score(signals, weights) == expected


@pytest.mark.parametrize(
    ("score", "block_at", "blocked"),
    [(None, 1.0, True), (0.45, 0.45, True), (0.449999, 0.45, False), (0.0, 0.45, False), (0.0, math.nan, True)],
)
def test_the_threshold_itself_blocks_and_so_does_no_score(score, block_at, blocked):
    assert is_blocked(score, block_at) is blocked


def test_without_outputs_the_prompt_alone_speaks():
    approved = prompt_hash("pay")
    assert signals_of(None, approved, approved) == Signals(None, None, 0.0)
    assert signals_of(None, approved, None) == Signals()
    assert signals_of(("pay 1", "pay 1"), approved, None) == Signals(0.0, 0.0, None)


TEXT = st.text() | st.text(alphabet="0123456789.,-+eE \u2212\u0661é!a")
SHARE = st.floats(0, 1)
SIGNAL = st.none() | SHARE


@given(TEXT, TEXT)
def test_every_signal_is_within_0_and_1(a, b):
    for signal in (output_instability(a, b), numeric_variance(a, b)):
        assert signal is None or 0 <= signal <= 1


@given(TEXT, TEXT)
def test_instability_does_not_depend_on_the_order(a, b):
    assert output_instability(a, b) == output_instability(b, a)


@given(TEXT)
def test_the_same_text_twice_is_stable(text):
    assert output_instability(text, text) in (0.0, None)
    assert numeric_variance(text, text) in (0.0, None)


@given(TEXT)
def test_case_and_space_never_change_a_prompts_hash(prompt):
    assert prompt_hash("  " + "\n".join(prompt.split()) + " ") == prompt_hash(prompt)
    assert prompt_hash(prompt.casefold()) == prompt_hash(prompt)


@given(SIGNAL, SIGNAL, SIGNAL, SHARE, SHARE, SHARE)
def test_a_score_lies_between_its_signals(a, b, c, wa, wb, wc):
    score = composite_score(Signals(a, b, c), Weights(wa, wb, wc))
    counted = [s for s, w in ((a, wa), (b, wb), (c, wc)) if s is not None and w > 0]
    if not counted:
        assert score is None
    else:
        assert min(counted) - 1e-6 <= score <= max(counted) + 1e-6
        assert 0 <= score <= 1


@given(SHARE, SHARE, SHARE)
def test_a_worse_score_or_a_lower_threshold_never_unblocks(score, worse, block_at):
    low, high = sorted((score, worse))
    assert is_blocked(high, block_at) >= is_blocked(low, block_at)
    assert is_blocked(score, min(block_at, worse)) >= is_blocked(score, block_at)


@pytest.mark.parametrize("piece", ["9", "1,", "1,000", "-", ".5", "1e", "e9", "1.", " ", "a\u0301", "٣,"])
def test_a_long_text_costs_one_pass(piece):
    text = piece * (256 * 1024 // len(piece))
    start = time.perf_counter()
    numeric_variance(text, text + "1")
    output_instability(text, text + "1")
    prompt_hash(text)
    assert time.perf_counter() - start < 2
