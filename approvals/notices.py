"""People who may decide are told that something waits: an outbox, written with the pending action, sent by workers.

A notice may come twice where a worker dies between sending and recording; it never comes for what was rolled back.
"""

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse

from approvals.models import ActionNotice, PendingAction
from approvals.states import Status
from approvals.wording import risk_words, to_the_second
from telemetry.recorder import SYSTEM, Subject, record_event
from telemetry.visible import visible
from tools.models import AccessSubject

log = logging.getLogger(__name__)
ATTEMPTS = 8
FIRST_DELAY = dt.timedelta(seconds=30)
NOBODY = "Nobody who may decide has an e-mail address."


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to tell people. `send` raises where that failed, and is then called again later."""

    name: str
    send: Callable[[PendingAction, Sequence[User]], int]


def channels() -> tuple[Channel, ...]:
    """The ways that this installation has; none by default, and then nothing is queued."""
    return (Channel("email", send_email),) if settings.TELL_BY_EMAIL else ()


def queue_notice(action: PendingAction, now: dt.datetime) -> None:
    """That people are to be told is part of the running transaction, where there is a way to tell them."""
    if channels():
        ActionNotice(pending_action=action, next_attempt_at=now, created_at=now).save(force_insert=True)


def people_to_tell(action: PendingAction) -> QuerySet[User]:
    """Who could decide this action now, as is_eligible() and is_own() say, in one query."""
    people = get_user_model()._default_manager
    if action.eligible_groups:
        found = people.filter(is_active=True, groups__name__in=action.eligible_groups).distinct()
    else:
        found = people.with_perm("approvals.decide_pendingaction")
    if not action.self_confirm:
        own = (action.owner_id, action.agent.owner_id, action.agent_key.issued_by_id)
        mappers = AccessSubject.objects.of_agent(action.agent_id).exclude(mapped_by=None)
        found = found.exclude(pk__in=[pk for pk in own if pk is not None])
        found = found.exclude(pk__in=mappers.values("mapped_by"))
    return found.exclude(pk__in=action.votes.values("operator")).order_by("pk")


def send_due(now: dt.datetime, limit: int = 50) -> int:
    """Every notice that is due was tried; how many went out. Safe to run twice at once.

    A failure ends the run, so that a mail server that is down costs one timeout and not one for each notice.
    """
    sent = 0
    for _ in range(limit):
        went_out = _send_next(now)
        if went_out is None:
            break
        sent += went_out
    return sent


def _send_next(now: dt.datetime) -> bool | None:
    """Whether the next one went out; None where none is due, or where it failed.

    Locks: the notice's row, which nobody else then takes; not the action's.
    """
    with transaction.atomic():
        notice = (
            ActionNotice.objects.due()
            .select_for_update(of=("self",), skip_locked=True)
            .select_related("pending_action__tool", "pending_action__agent", "pending_action__agent_key")
            .order_by("next_attempt_at")
            .first()
        )
        if notice is None:
            return None
        action = notice.pending_action
        if action.status != Status.PENDING or action.expires_at <= now:
            notice.next_attempt_at = None
            notice.save(update_fields=["next_attempt_at"])
            return False
        error = _try(notice, now)
        _note(notice, error, now)
        return None if error else notice.sent_at is not None


def _try(notice: ActionNotice, now: dt.datetime) -> str:
    """What went wrong, or nothing. A channel that is done is not asked again."""
    action, error = notice.pending_action, ""
    people = list(people_to_tell(action))
    for channel in channels():
        if channel.name in notice.sent_through:
            continue
        try:
            told = channel.send(action, people)
        except Exception as raised:
            log.exception("people could not be told of action %s by %s", action.pk, channel.name)
            error = f"{channel.name}: {type(raised).__name__}: {raised}"
            continue
        notice.sent_through.append(channel.name)
        notice.told += told
        if told:
            _record(action, channel.name, told, now)
    return error


def _note(notice: ActionNotice, error: str, now: dt.datetime) -> None:
    """When it is tried again, or that it is over, and how."""
    notice.attempts += 1
    notice.last_error = visible(error)[:300]
    notice.next_attempt_at = None
    if error and notice.attempts < ATTEMPTS:
        notice.next_attempt_at = now + FIRST_DELAY * 2 ** (notice.attempts - 1)
    elif error:
        log.error("given up: nobody was told of action %s", notice.pending_action_id)
    elif notice.told:
        notice.sent_at = now
    else:
        notice.last_error = NOBODY
    notice.save(force_update=True)


def _record(action: PendingAction, channel: str, told: int, now: dt.datetime) -> None:
    record_event(
        "action.noticed",
        SYSTEM,
        Subject("pending_action", str(action.pk), action.tool.name),
        trace_id=action.trace_id,
        data={"channel": channel, "people": told},
        now=now,
    )


# e-mail


def send_email(action: PendingAction, people: Sequence[User]) -> int:
    """One message to all of them; how many. Nothing of the arguments is in it."""
    addresses = sorted({person.email for person in people if _is_address(person.email)})
    if addresses:
        EmailMessage(subject_of(action), text_of(action), settings.DEFAULT_FROM_EMAIL, addresses).send()
    return len(addresses)


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def subject_of(action: PendingAction) -> str:
    return f"[{visible(settings.ENVIRONMENT)}] Decide: {visible(action.tool.name)} for {visible(action.agent.name)}"


def text_of(action: PendingAction) -> str:
    page = reverse("admin:approvals_pendingaction_change", args=[action.pk])
    return "\n".join(
        (
            f"{visible(action.agent.name)} asks to run {visible(action.tool.name)} and waits for a person.",
            "",
            f"Risk: {risk_words(action.tool)}",
            f"Decide before: {to_the_second(action.expires_at)}",
            f"Needed: {action.quorum}",
            "",
            f"{settings.PUBLIC_URL.rstrip('/')}{page}",
            "",
            "The arguments are on that page only. Somebody else may have decided meanwhile.",
            "",
        )
    )


def given_up_since(moment: dt.datetime) -> tuple[int, ActionNotice | None]:
    """How many notices were given up since then, and the last of them."""
    found = list(ActionNotice.objects.given_up().filter(created_at__gte=moment).order_by("-created_at")[:100])
    return len(found), found[0] if found else None
