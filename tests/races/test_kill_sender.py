"""kill -9 of a worker that sends alerts: nothing is lost, and what comes twice comes under the same id."""

import datetime as dt
import json
import os
import subprocess
import sys

import pytest

from telemetry.delivery.outbox import LEASE
from telemetry.models import AlertChannel, AlertNotification
from tests.races.dying_sender import POINTS
from tests.serving import database_url
from tests.telemetry.alerts.figures import NOON
from tests.telemetry.delivery.messages import alert, channel, received, send, waiting

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.race,
    pytest.mark.slow,
    pytest.mark.usefixtures("opened"),
]
SIGKILL = 9


def dies(point, now):
    done = subprocess.run(
        [sys.executable, "-m", "tests.races.dying_sender"],
        input=json.dumps({"point": point, "now": now.isoformat()}),
        env=os.environ | {"DATABASE_URL": database_url(), "OBSERVATORY_EGRESS_ALLOW": "127.0.0.0/8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == -SIGKILL, done.stderr[-3000:]


@pytest.mark.parametrize("kind", ["webhook", "pagerduty"])
@pytest.mark.parametrize("point", POINTS)
def test_what_a_dying_worker_had_is_sent_by_the_next_under_the_same_id(listen, point, kind):
    receiver = listen()
    one = alert()
    told = waiting(channel(kind, url=receiver.url()), one)
    now = NOON
    for _ in range(2):
        dies(point, now)
        assert AlertNotification.objects.filter(sent_at=None, next_attempt_at=now + LEASE).exists()
        assert send((now - NOON).total_seconds() + 1) == 0, "its lease goes on"
        now += LEASE
    assert len(receiver.requests) == (0 if point == "before it leaves" else 2)
    assert send((now - NOON).total_seconds()) == 1
    ids = {sent.headers["webhook-id"] if kind == "webhook" else sent.json["dedup_key"] for sent in received(receiver)}
    assert ids == {str(told.pk) if kind == "webhook" else f"{one.dedupe_key}.{one.episode.hex}"}
    told.refresh_from_db()
    assert (told.sent_at, told.attempts, told.next_attempt_at) == (now, 3, None)
    assert send(dt.timedelta(days=1).total_seconds()) == 0
    assert not AlertChannel.objects.exclude(not_before=None).exists()


def test_a_worker_that_dies_takes_no_other_channel_with_it(listen):
    receiver = listen()
    waiting(channel(url=receiver.url()), alert())
    dies("before it leaves", NOON)
    later = waiting(channel(name="other", url=receiver.url()), alert("other"))
    assert send(1) == 1
    assert [one.headers["webhook-id"] for one in received(receiver)] == [str(later.pk)]
