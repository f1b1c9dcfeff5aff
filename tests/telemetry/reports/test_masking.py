"""What goes out of a report masked, and what stays."""

import pytest

from telemetry.reports.masking import masked, masked_arguments, masked_text

TOKEN = "ghp_Zq7Canary9abcDEF0123456789xyzABC"


@pytest.mark.parametrize(
    ("text", "gone", "why"),
    [
        (f"use {TOKEN} now", TOKEN, "a secret by its form"),
        ("write to jane.doe@example.com", "jane.doe", "an address"),
        ("call +1 212 555 2368 today", "555 2368", "a telephone number"),
        ("call me: (212) 736-5000", "736-5000", "a telephone number of the default region"),
        ("her SSN is 536-22-8726", "536-22-8726", "a social security number"),
        ("card 4111 1111 1111 1111", "4111 1111", "a card"),
        ("IBAN DE89 3704 0044 0532 0130 00", "3704 0044", "an account"),
        (" ".join(f"+1 212 555 {2000 + place}" for place in range(120)), "555 21", "more than a detector tells of"),
        ("+1 212 555 2368 " + "x" * 9_000 + TOKEN, TOKEN, "far behind"),
    ],
)
def test_texts_lose_what_is_secret_or_personal(text, gone, why):
    assert gone in text
    assert gone not in masked_text(text)
    assert "[masked" in masked_text(text)


@pytest.mark.parametrize("text", ["", "one customer", "step_1 took 150.5 ms", "2026-11-21T14:00:00Z", "ab" * 32])
def test_what_is_neither_stays(text):
    assert masked_text(text) == text
    assert masked_text(masked_text(text)) == text


def test_values_are_masked_within_and_figures_of_ours_stay():
    ours = {"mode": "mixed", "thresholds": {"secrets": 0.5, "pii": 0.0}, "kinds": {"api_key": 1}, "violated": True}
    assert masked(ours) == ours
    assert masked({"jane@example.com": ["call +1 212 555 2368", None, 3]}) == {
        "[masked email]": ["call [masked phone]", None, 3]
    }
    assert masked({"fingerprint": "4111111111111111", "other": "4111111111111111"})["fingerprint"] == "4111111111111111"
    assert "4111" not in str(masked({"number": 4111111111111111, "text": "4111111111111111"}))


def test_arguments_lose_what_stands_under_a_sensitive_key():
    arguments = {"password": "x", "nested": [{"apiKey": 7, "has_token": True, "token": None}], "query": "acme"}
    assert masked_arguments(arguments) == {
        "password": "[masked]",
        "nested": [{"apiKey": "[masked]", "has_token": True, "token": None}],
        "query": "acme",
    }
