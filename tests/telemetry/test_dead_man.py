"""The sign of life is given only while beat, sums and alerts progress; what stands in its way is noted."""

import datetime as dt

import pytest

from observatory.checks import a_sign_of_life_can_be_given
from telemetry.alerts.evaluation import HEARTBEAT
from telemetry.dead_man import NAME, give_sign
from telemetry.models import Heartbeat, RollupWatermark
from telemetry.tasks import BEAT, give_sign_of_life
from tests.telemetry.alerts.figures import NOON
from tests.telemetry.delivery.messages import answering, status
from tests.telemetry.egress.peer import OK, sends

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("opened")]


@pytest.fixture
def watcher(listen, settings):
    listener = listen()
    settings.HEARTBEAT_URL = listener.url("/3f9c-secret")
    return listener


def progressing(at=NOON, **but):
    """Each sweep was last seen a moment ago, but for those given as seconds ago (None: never)."""
    ago = {"beat": 10, "sums": 90, "alerts": 50} | but
    for name, key in ((BEAT, "beat"), (HEARTBEAT, "alerts")):
        if ago[key] is not None:
            Heartbeat.objects.create(name=name, at=at - dt.timedelta(seconds=ago[key]))
    if ago["sums"] is not None:
        RollupWatermark.objects.create(at=at - dt.timedelta(seconds=ago["sums"]))


def row():
    return Heartbeat.objects.filter(name=NAME).values_list("at", "failures", "error").first()


def test_a_sign_is_given_while_everything_progresses(watcher):
    progressing()
    assert give_sign(NOON)
    assert [raw.split()[:2] for raw in watcher.requests] == [[b"GET", b"/3f9c-secret"]]
    assert row() == (NOON, 0, "")


STILL = {
    "beat": ({"beat": 91}, "Beat: no progress."),
    "sums": ({"sums": 301}, "The sums of spans: no progress."),
    "alerts": ({"alerts": 301}, "The evaluation of alerts: no progress."),
    "never": (
        {"beat": None, "sums": None, "alerts": None},
        "Beat, The sums of spans, The evaluation of alerts: no progress.",
    ),
}


@pytest.mark.parametrize("part", STILL)
def test_no_sign_is_given_while_a_part_stands_still(watcher, part):
    ago, said = STILL[part]
    progressing(**ago)
    assert not give_sign(NOON)
    assert watcher.requests == []
    assert row() == (NOON, 1, said)


ANSWERS = {"500": status(500), "redirect": status(302, "Location: /"), "hangs up": sends(close=True)}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_watcher_that_fails_is_noted_and_the_next_sign_is_given(listen, settings, name):
    watcher = listen(answering(ANSWERS[name], OK))
    settings.HEARTBEAT_URL = watcher.url("/3f9c-secret")
    progressing()
    assert not give_sign(NOON)
    _, failures, error = row()
    assert failures == 1
    assert error
    assert "3f9c" not in error
    assert give_sign(NOON + dt.timedelta(seconds=30))
    assert row() == (NOON + dt.timedelta(seconds=30), 1, "")


def test_nothing_is_called_without_an_address(watcher, settings):
    settings.HEARTBEAT_URL = ""
    progressing()
    assert not give_sign_of_life()
    assert (watcher.requests, row()) == ([], None)


@pytest.mark.parametrize(
    ("url", "ids"),
    [
        ("", []),
        ("https://hc.example.com/3f9c", []),
        ("http://10.0.0.7/", ["observatory.E015"]),
        ("hc", ["observatory.E015"]),
    ],
)
def test_an_address_that_cannot_be_called_is_said_at_the_start(settings, url, ids):
    settings.HEARTBEAT_URL = url
    assert [found.id for found in a_sign_of_life_can_be_given()] == ids
