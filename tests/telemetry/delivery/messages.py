"""Channels that lead to a receiver of the test, alerts that have something to tell, and what the receiver read."""

import datetime as dt
import json
import uuid

from telemetry.delivery.channels import sealed
from telemetry.delivery.sending import send_due
from telemetry.models import AlertChannel, AlertInstance, AlertNotification, AlertRule
from tests.telemetry.alerts.figures import NOON, error_rule
from tests.telemetry.egress.peer import OK

SECRET = "whsec_" + "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
MESSAGE = {
    "rule": "A tool fails often",
    "key": "error_rate_above_threshold",
    "description": "Look at its spans.",
    "severity": "critical",
    "labels": {"tool_name": "create_ticket"},
    "metric": "error_rate",
    "metric_title": "Calls that failed",
    "unit": "ratio",
    "comparison": "above",
    "threshold": 0.1,
    "window_s": 300,
    "value": 0.25,
    "samples": 40,
    "started_at": "2026-11-22T11:58:00+00:00",
    "since": "2026-11-22T12:00:00+00:00",
    "as_of": "2026-11-22T12:00:00+00:00",
    "why": "",
    "environment": "test",
    "page": "https://observatory.example.com/admin/telemetry/alertinstance/1/change/",
}


def channel(kind="webhook", name="", secret=SECRET, **fields):
    made = AlertChannel.objects.create(name=name or kind, kind=kind, **fields)
    made.sealed_secret = sealed(made, secret)
    made.save()
    return made


def rule_called(name="A tool fails often"):
    return AlertRule.objects.filter(name=name).first() or error_rule(name=name)


def alert(tool="create_ticket", **fields):
    """One that fires."""
    given = {
        "rule": rule_called(),
        "labels": {"tool_name": tool},
        "dedupe_key": uuid.uuid4().hex * 2,
        "state": "firing",
        "episode": uuid.uuid4(),
        "since": NOON,
        "evaluated_at": NOON,
    }
    return AlertInstance.objects.create(**given | fields)


def waiting(to, of, kind="firing", version=1, **fields):
    """A message that waits since noon."""
    given = {
        "episode": of.episode,
        "message": MESSAGE | {"labels": of.labels},
        "next_attempt_at": NOON,
        "give_up_at": NOON + dt.timedelta(hours=24),
        "created_at": NOON,
    }
    return AlertNotification.objects.create(channel=to, instance=of, kind=kind, version=version, **given | fields)


def send(after_s=0.0, jitter=1.0):
    """What is due so long after noon is sent; the longest delays are chosen."""
    return send_due(lambda: NOON + dt.timedelta(seconds=after_s), lambda: jitter)


class Received:
    """One request as the receiver read it."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.path = first.split()[1]
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def json(self):
        return json.loads(self.body)


def received(receiver):
    return [Received(raw) for raw in receiver.requests]


def answering(*answers):
    """Each request gets the next answer, the last one for ever."""
    left = list(answers)

    def answer(conn):
        one = left.pop(0) if len(left) > 1 else left[0]
        one(conn) if callable(one) else conn.sendall(one)

    return answer


def status(code, *headers, body=b"{}"):
    lines = [f"HTTP/1.1 {code} Said", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


__all__ = ("MESSAGE", "OK", "SECRET", "alert", "answering", "channel", "received", "send", "status", "waiting")
