"""Agents and their keys."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction

from telemetry.recorder import Actor, Subject, record_event
from tools.actions.changes import changes
from tools.credentials import NewCredential, digest_of, new_credential
from tools.models import AccessSubject, Agent, AgentKey
from tools.scopes import Scope

LONGEST_GRACE = dt.timedelta(days=30)
KEY_FIELDS = ("policy", "scopes", "rate", "expires_at")


def _subject(key: AgentKey) -> Subject:
    return Subject("agent_key", str(key.pk), f"{key.agent.name} {key.public_id}")


def _terms(key: AgentKey) -> dict[str, Any]:
    return {
        "policy": key.policy.name if key.policy else None,
        "scopes": sorted(key.scopes),
        "rate": key.rate,
        "expires_at": key.expires_at,
        "owner": key.owner.get_username(),
    }


def votes_for_another(user: Any, owner_id: int | None, scopes: Iterable[str]) -> bool:
    """Whether holding the key would let this person vote as somebody else: four eyes would be two."""
    return Scope.ACTIONS_CONFIRM in scopes and owner_id != user.pk and not user.is_superuser


def refuse_more_than_own(key: AgentKey, actor: Actor, *, had: Iterable[str] = ()) -> None:
    """Raises ValidationError where a key would let the actor do what their own account may not."""
    if actor.kind != "operator":
        return
    user, gained = get_user_model().objects.get(pk=actor.id), set(key.scopes) - set(had)
    if Scope.AUDIT_READ in gained and not user.has_perm("telemetry.view_auditevent"):
        raise ValidationError({"scopes": "audit:read can be given by those who may read audit events themselves."})
    if votes_for_another(user, key.owner_id, gained):
        raise ValidationError({"scopes": "Only the owner or an administrator can issue a key that votes as the owner."})


def save_agent(agent: Agent, actor: Actor) -> Agent:
    """The agent is stored and the change is on record. A name, once given, stays: records name it."""
    with transaction.atomic():
        agent.full_clean()
        before = Agent.objects.select_for_update().filter(pk=agent.pk).first() if agent.pk else None
        if before is not None and before.name != agent.name:
            raise ValidationError({"name": "An agent keeps its name; make another agent instead."})
        agent.save()
        facts = {"description": agent.description, "owner": agent.owner.get_username()}
        subject = Subject("agent", str(agent.pk), agent.name)
        if before is None:
            record_event("agent.created", actor, subject, data=facts)
        else:
            old = {"description": before.description, "owner": before.owner.get_username()}
            record_event("agent.changed", actor, subject, data=changes(old, facts))
    return agent


def issue_key(key: AgentKey, actor: Actor, *, fixed: str = "", public_id: str = "") -> NewCredential:
    """The key exists and works; its secret is in the answer and nowhere else.

    `fixed` is the demonstration's own secret, refused elsewhere. `public_id` is chosen beforehand where the same
    request must not make a second key: public ids are unique.
    """
    if fixed and not settings.DEMO:
        raise ValidationError("A fixed key exists in the demonstration only.")
    credential = NewCredential(fixed, "devkey00", digest_of(fixed)) if fixed else new_credential(public_id)
    with transaction.atomic():
        refuse_more_than_own(key, actor)
        key.public_id, key.digest = credential.public_id, credential.digest
        key.issued_by_id = int(actor.id) if actor.kind == "operator" else None
        key.full_clean()
        key.save(force_insert=True)
        record_event("key.created", actor, _subject(key), data=_terms(key))
    return credential


def change_key(key: AgentKey, actor: Actor) -> AgentKey:
    """The key's policy, scopes, rate or expiry are as given, from the next call on."""
    with transaction.atomic():
        before = (
            AgentKey.objects.select_for_update(of=("self",)).select_related("policy", "owner", "agent").get(pk=key.pk)
        )
        if before.revoked_at is not None:
            raise ValidationError("The key is revoked; nothing brings it back.")
        if before.replaced_by_id and (
            key.expires_at is None or (before.expires_at is not None and key.expires_at > before.expires_at)
        ):
            raise ValidationError({"expires_at": "The key is replaced: its grace can end sooner, never later."})
        refuse_more_than_own(key, actor, had=before.scopes)
        key.full_clean()
        key.save(update_fields=list(KEY_FIELDS))
        record_event("key.changed", actor, _subject(key), data=changes(_terms(before), _terms(key)))
    return key


def rotate_key(
    key: AgentKey, actor: Actor, grace: dt.timedelta, now: dt.datetime, *, public_id: str = ""
) -> tuple[AgentKey, NewCredential]:
    """A new key with the same terms works; the old one works until its grace ends, and not a moment longer."""
    if not dt.timedelta(0) <= grace <= LONGEST_GRACE:
        raise ValidationError("The grace is between nothing and 30 days.")
    with transaction.atomic():
        old = AgentKey.objects.select_for_update(of=("self",)).select_related("agent", "owner", "policy").get(pk=key.pk)
        if old.state(now) != "active":
            raise ValidationError(f"Only an active key is rotated; this one is {old.state(now)}.")
        new = AgentKey(agent=old.agent, owner=old.owner, policy=old.policy, scopes=old.scopes, rate=old.rate)
        new.expires_at = old.expires_at
        credential = issue_key(new, actor, public_id=public_id)
        # A key that was made this very moment still expires after it was made.
        ends = max(now + grace, old.created_at + dt.timedelta(microseconds=1))
        old.replaced_by = new
        old.expires_at = min(ends, old.expires_at) if old.expires_at else ends
        old.save(update_fields=["replaced_by", "expires_at"])
        _carry_subjects_over(old, new, actor)
        record_event(
            "key.rotated",
            actor,
            _subject(old),
            data={"replaced_by": new.public_id, "grace_ends": old.expires_at.isoformat()},
        )
    return new, credential


def _carry_subjects_over(old: AgentKey, new: AgentKey, actor: Actor) -> None:
    """What was leaked or aged is the secret; whoever acts as the key by access tokens acts as the new one."""
    for row in AccessSubject.objects.in_force().filter(key=old).select_for_update():
        row.key = new
        row.save(update_fields=["key"])
        record_event(
            "subject.changed",
            actor,
            Subject("access_subject", str(row.pk), str(row)),
            data=changes({"acts_as": old.public_id}, {"acts_as": new.public_id}),
        )


def revoke_key(key: AgentKey, actor: Actor, now: dt.datetime, *, reason: str = "") -> bool:
    """The key works no more, from the next call on; False where it was revoked already."""
    with transaction.atomic():
        if not AgentKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
            return False
        record_event("key.revoked", actor, _subject(key), data={"reason": reason})
    return True
