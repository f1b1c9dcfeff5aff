"""Sealed bytes open for the same purpose, context and environment only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from telemetry.encryption import CannotOpen, open_sealed, seal


def _reason(data: bytes, *, purpose: str = "payload", context: str = "row-1") -> str:
    with pytest.raises(CannotOpen) as refusal:
        open_sealed(data, purpose=purpose, context=context)
    return refusal.value.reason


@given(st.binary(max_size=300), st.text(st.characters(codec="utf-8"), max_size=30))
def test_open_sealed_gives_back_the_plaintext_when_nothing_changed(plaintext: bytes, context: str) -> None:
    assert (
        open_sealed(seal(plaintext, purpose="payload", context=context), purpose="payload", context=context)
        == plaintext
    )


def test_seal_differs_each_time_when_the_plaintext_is_the_same() -> None:
    assert len({seal(b"x", purpose="payload", context="row-1") for _ in range(50)}) == 50


def test_open_sealed_refuses_when_context_or_purpose_is_another() -> None:
    sealed = seal(b"arguments", purpose="payload", context="row-1")
    assert _reason(sealed, context="row-2") == "not_authentic"
    assert _reason(sealed, purpose="webhook") == "unknown_key"
    assert open_sealed(sealed, purpose="payload", context="row-1") == b"arguments"


def test_open_sealed_refuses_when_any_bit_changed() -> None:
    sealed = seal(b"arguments", purpose="payload", context="row-1")
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        assert _reason(bytes(changed)) in {"unknown_version", "unknown_key", "not_authentic"}
    assert _reason(sealed[:32]) == "truncated"
    assert _reason(b"") == "truncated"


def test_open_sealed_opens_when_the_master_secret_was_retired(settings: Settings) -> None:
    settings.MASTER_SECRET, settings.MASTER_SECRETS_RETIRED = "a" * 40, []
    sealed = seal(b"arguments", purpose="payload", context="row-1")
    settings.MASTER_SECRET = "b" * 40
    assert _reason(sealed) == "unknown_key"
    settings.MASTER_SECRETS_RETIRED = ["a" * 40]
    assert open_sealed(sealed, purpose="payload", context="row-1") == b"arguments"


def test_open_sealed_refuses_when_it_was_sealed_in_another_environment(settings: Settings) -> None:
    settings.ENVIRONMENT = "staging"
    sealed = seal(b"arguments", purpose="payload", context="row-1")
    settings.ENVIRONMENT = "production"
    assert _reason(sealed) == "unknown_key"
