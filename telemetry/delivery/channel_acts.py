"""What operators do to channels: check, change and event together; and a test that really sends."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import F

from telemetry.delivery import pagerduty, webhook
from telemetry.delivery.channels import address_of, deliver, sealed
from telemetry.delivery.letter import TEST, Letter, NotSent, recipients_of
from telemetry.delivery.letter import Kind as MessageKind
from telemetry.egress import check_url
from telemetry.egress.addresses import literal
from telemetry.models import AlertChannel
from telemetry.recorder import Actor, Subject, record_event

Kind = AlertChannel.Kind
MOST_RECIPIENTS = 50
LONGEST_GRACE = dt.timedelta(days=7)
_ROUTING_KEY = re.compile(r"[A-Za-z0-9]{32}")
_TOLD = ("name", "kind", "recipients", "url", "enabled")


def channel_problems(channel: AlertChannel, secret: str = "") -> dict[str, str]:
    """What is wrong with a channel as typed, by field, as far as can be told without using it."""
    match channel.kind:
        case Kind.EMAIL:
            return _named("recipients", _recipients_problem(channel))
        case Kind.WEBHOOK:
            return _named("url", url_problem(channel.url) if channel.url else "Type the receiver's address.")
        case Kind.SLACK:
            missing = "" if channel.sealed_secret else "Type the incoming webhook's address."
            return _named("secret", url_problem(secret) if secret else missing)
        case _:
            wrong_url = (
                channel.url and channel.url not in (pagerduty.URL, pagerduty.EU_URL) and not _is_own(channel.url)
            )
            eu = f"Leave it empty, or for an account in the EU type {pagerduty.EU_URL}."
            routing = _routing_problem(channel, secret) or ("" if secret else _moved_problem(channel))
            return _named("url", eu if wrong_url else "") | _named("secret", routing)


def _named(field: str, problem: str) -> dict[str, str]:
    return {field: problem} if problem else {}


def _recipients_problem(channel: AlertChannel) -> str:
    addresses = recipients_of(channel)
    if not 0 < len(addresses) <= MOST_RECIPIENTS:
        return f"At least one address, at most {MOST_RECIPIENTS}, one a line."
    for address in addresses:
        try:
            validate_email(address)
        except ValidationError:
            return f"{address[:80]} is no e-mail address."
    return ""


def _routing_problem(channel: AlertChannel, secret: str) -> str:
    if secret:
        return "" if _ROUTING_KEY.fullmatch(secret) else "A routing key is 32 letters and digits."
    return "" if channel.sealed_secret else "Type the integration's routing key."


def _moved_problem(channel: AlertChannel) -> str:
    """The key is part of each message, so whoever may not see it may not have it sent to another address either."""
    moved = AlertChannel.objects.filter(pk=channel.pk).exclude(url=channel.url)
    return "It goes along to the new address: type the routing key again." if moved.exists() else ""


def url_problem(url: str) -> str:
    """Why nothing can be sent there; nothing where it can. Plain HTTP only to an address that the operator opened."""
    if problem := check_url(url):
        return problem
    if urlsplit(url).scheme.lower() == "https" or _is_own(url):
        return ""
    return "Use https://: what is sent is nobody else's business."


def _is_own(url: str) -> bool:
    """An address spelled out that OBSERVATORY_EGRESS_ALLOW opens."""
    address = literal(urlsplit(url).hostname or "")
    return address is not None and any(ip_address(address) in ip_network(n) for n in settings.EGRESS_ALLOWED_NETWORKS)


def save_channel(channel: AlertChannel, actor: Actor, *, secret: str = "") -> str:
    """The channel is as given. Returns the secret of a new webhook, which is shown once; else nothing."""
    if problems := channel_problems(channel, secret):
        raise ValidationError(problems)
    with transaction.atomic():
        before = AlertChannel.objects.select_for_update().filter(pk=channel.pk).first() if channel.pk else None
        if before is not None and before.kind != channel.kind:
            raise ValidationError({"kind": "A channel keeps its kind; make another."})
        channel.full_clean()
        if before is None:
            channel.save(force_insert=True)
        made = webhook.new_secret() if channel.kind == Kind.WEBHOOK and before is None else ""
        if made or secret:
            channel.sealed_secret = sealed(channel, made or secret)
        # What is wrong with it may have been mended: it is tried at once.
        channel.not_before, channel.failures = None, 0
        # What else stands in the row is others' to write: a secret that is replaced meanwhile, what was sent.
        changed = [*_TOLD, "not_before", "failures", *(["sealed_secret"] if made or secret else [])]
        channel.save(update_fields=changed)
        _record(channel, before, actor, is_new_secret=bool(made or secret))
    return made


def _record(channel: AlertChannel, before: AlertChannel | None, actor: Actor, *, is_new_secret: bool) -> None:
    is_now = {name: getattr(channel, name) for name in _TOLD}
    if before is None:
        record_event("alert_channel.created", actor, _subject(channel), data=is_now)
        return
    was = {name: getattr(before, name) for name in _TOLD}
    changed: dict[str, object] = {n: {"from": was[n], "to": is_now[n]} for n in was if was[n] != is_now[n]}
    if changed or is_new_secret:
        data = changed | {"signs_anew": is_new_secret}
        record_event("alert_channel.changed", actor, _subject(channel), data=data)


def replace_secret(channel: AlertChannel, actor: Actor, grace: dt.timedelta, now: dt.datetime) -> str:
    """A webhook's new secret, which is shown once. Until the grace ends messages are signed with both."""
    if channel.kind != Kind.WEBHOOK:
        raise ValidationError("Only a webhook has a secret that is made here.")
    if not dt.timedelta(0) <= grace <= LONGEST_GRACE:
        raise ValidationError("The grace is at most seven days.")
    secret = webhook.new_secret()
    with transaction.atomic():
        locked = AlertChannel.objects.select_for_update().get(pk=channel.pk)
        locked.sealed_previous, locked.previous_until = locked.sealed_secret, now + grace
        locked.sealed_secret = sealed(locked, secret)
        locked.save(update_fields=["sealed_secret", "sealed_previous", "previous_until"])
        data = {"signs_anew": True, "both_until": (now + grace).isoformat()}
        record_event("alert_channel.changed", actor, _subject(locked), data=data)
    return secret


def send_test(channel: AlertChannel, actor: Actor, now: dt.datetime) -> tuple[bool, str]:
    """Whether a test arrived, and the answer. It is sent once, now; at PagerDuty its incident is closed again."""
    thread = f"test.{uuid.uuid4().hex}"
    kinds = (TEST, MessageKind.RESOLVED) if channel.kind == Kind.PAGERDUTY else (TEST,)
    arrived, said = True, ""
    try:
        address = address_of(channel, now)
        for kind in kinds:
            said = deliver(address, Letter(str(uuid.uuid4()), kind, thread, _test_message(actor, now), now))
    except NotSent as problem:
        arrived, said = False, problem.detail
    with transaction.atomic():
        rows = AlertChannel.objects.filter(pk=channel.pk)
        if arrived:
            rows.update(last_sent_at=now, failures=0, not_before=None)
        else:
            rows.update(last_failed_at=now, last_error=said[:300], failures=F("failures") + 1)
        record_event("alert_channel.tested", actor, _subject(channel), data={"arrived": arrived, "answer": said})
    return arrived, said


def _test_message(actor: Actor, now: dt.datetime) -> dict[str, object]:
    at = now.astimezone(dt.UTC).isoformat()
    return {
        "rule": "A test of this channel",
        "key": "",
        "description": f"{actor.name} sent this test. Nothing is wrong.",
        "severity": "info",
        "labels": {},
        "metric": "test",
        "metric_title": "Test",
        "unit": "number",
        "comparison": "above",
        "threshold": 0.0,
        "window_s": 60,
        "value": 1.0,
        "samples": 1,
        "started_at": at,
        "since": at,
        "as_of": at,
        "why": "",
        "environment": settings.ENVIRONMENT,
        "page": "",
    }


def _subject(channel: AlertChannel) -> Subject:
    return Subject("alert_channel", str(channel.pk), channel.name)
