import pytest

from telemetry.tokens import estimate_tokens, usage_of


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        ({"usage": {"prompt_tokens": 12, "completion_tokens": 3}}, (12, 3)),
        ({"usage": {"input_tokens": 12, "output_tokens": 3}}, (12, 3)),
        ({"usage": {"prompt_tokens": 12}}, (12, 0)),
        ({"usage": {"prompt_tokens": True, "completion_tokens": 3}}, None),
        ({"usage": {"prompt_tokens": -1, "completion_tokens": 3}}, None),
        ({"usage": {"completion_tokens": 3}}, None),
        ({"usage": [12, 3]}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_usage_is_what_the_provider_reports(answer, usage):
    assert usage_of(answer) == usage


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("four", 1), ("fiveX", 2), ("åäö!", 2), ("\ud800", 1)])
def test_an_estimate_is_a_quarter_of_the_bytes(text, tokens):
    assert estimate_tokens(text) == tokens
