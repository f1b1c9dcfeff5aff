"""Keys by purpose, environment and master secret."""

import pytest
from pytest_django import Settings

from telemetry.derivation import all_keys, derive_key

OLD, NEW = "o" * 40, "n" * 40


@pytest.fixture(autouse=True)
def _secrets(settings: Settings) -> None:
    settings.ENVIRONMENT = "production"
    settings.MASTER_SECRET = NEW
    settings.MASTER_SECRETS_RETIRED = []


def test_derive_key_differs_when_purpose_secret_or_environment_differ(settings: Settings) -> None:
    first = derive_key("commit-token")
    keys = [first, derive_key("seal"), derive_key("commit-token", secret=OLD)]
    settings.ENVIRONMENT = "staging"
    keys.append(derive_key("commit-token"))
    assert len({key.key for key in keys}) == len({key.kid for key in keys}) == 4
    settings.ENVIRONMENT = "production"
    assert derive_key("commit-token") == first


def test_derive_key_has_32_bytes_and_a_kid_of_8_hex_when_derived() -> None:
    derived = derive_key("commit-token")
    assert len(derived.key) == 32
    assert len(bytes.fromhex(derived.kid)) == 4
    assert derived.key.hex() not in repr(derived)
    assert repr(derived.key) not in repr(derived)


def test_all_keys_begins_with_the_active_one_when_secrets_are_retired(settings: Settings) -> None:
    settings.MASTER_SECRETS_RETIRED = [OLD]
    assert all_keys("seal") == (derive_key("seal"), derive_key("seal", secret=OLD))


@pytest.mark.parametrize(("purpose", "secret"), [("", NEW), ("a\0b", NEW), ("seal", "short")])
def test_derive_key_raises_when_a_part_is_missing_or_weak(purpose: str, secret: str) -> None:
    with pytest.raises(ValueError, match=r"derived|master secret"):
        derive_key(purpose, secret=secret)
