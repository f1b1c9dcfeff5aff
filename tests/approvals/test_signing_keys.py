"""The ring of signing keys, by its command: one signs, retired ones verify, revoked ones do neither."""

import io

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.utils import timezone

from approvals.models import SigningKey
from approvals.signing_keys import active_key, revoke, rotate, verifying_secrets
from telemetry.models import AuditEvent
from telemetry.recorder import SYSTEM

pytestmark = pytest.mark.django_db


def command(*words):
    out = io.StringIO()
    call_command("rotate_signing_key", *words, stdout=out)
    return out.getvalue()


def statuses():
    return {key.kid: key.status for key in SigningKey.objects.all()}


def test_rotation_makes_another_key_sign_and_keeps_the_old_one_for_verifying():
    old = active_key()
    said = command("--because", "yearly")
    new = active_key()
    assert said == f"{new.kid} signs from now on.\n"
    assert statuses() == {old.kid: "verify_only", new.kid: "active"}
    assert verifying_secrets(old.kid)
    types = list(AuditEvent.objects.order_by("pk").values_list("type", flat=True))
    assert types == ["signing_key.created", "signing_key.retired", "signing_key.created"]


def test_revoking_the_key_that_signs_makes_another_sign():
    old = active_key()
    command("--revoke", old.kid, "--because", "leaked")
    assert statuses()[old.kid] == "revoked"
    assert active_key().kid != old.kid
    assert verifying_secrets(old.kid) == ()
    assert SigningKey.objects.get(kid=old.kid).revoked_because == "leaked"


def test_revoking_a_retired_key_leaves_the_one_that_signs():
    old, new = active_key(), rotate(SYSTEM, timezone.now())
    command("--revoke", old.kid, "--because", "leaked")
    assert statuses() == {old.kid: "revoked", new.kid: "active"}


@pytest.mark.parametrize("words", [["--revoke", "00000000", "--because", "x"], ["--revoke", "KID"]])
def test_a_command_that_can_not_be_carried_out_changes_nothing(words):
    kid = active_key().kid
    with pytest.raises(CommandError):
        command(*[kid if word == "KID" else word for word in words])
    assert statuses() == {kid: "active"}


def test_a_key_is_revoked_once():
    kid = active_key().kid
    revoke(kid, SYSTEM, timezone.now(), "leaked")
    with pytest.raises(ValidationError):
        revoke(kid, SYSTEM, timezone.now(), "again")


def test_an_unknown_key_verifies_nothing():
    active_key()
    assert verifying_secrets("00000000") == ()
