"""Messages arrive once and in order; a receiver that fails is asked again, later and later, and holds up no other."""

import datetime as dt
import time

import pytest

from telemetry.delivery import outbox, posting
from telemetry.delivery.letter import NotSent
from telemetry.delivery.outbox import LEASE, MOST_ATTEMPTS, delay
from telemetry.models import AlertChannel, AlertInstance, AlertNotification, AlertSilence
from tests.races.threads import at_once
from tests.telemetry.alerts.figures import NOON, error_rule
from tests.telemetry.delivery.messages import OK, alert, answering, channel, received, send, status, waiting
from tests.telemetry.egress.peer import sends

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("opened")]
HOUR = 3_600


def kinds(receiver):
    return [one.json["type"] for one in received(receiver)]


def test_a_message_that_is_due_arrives_once(listen):
    receiver = listen()
    hook = channel(url=receiver.url("/hook"))
    told = waiting(hook, alert())
    later = waiting(hook, alert("other"), next_attempt_at=NOON + dt.timedelta(minutes=1))
    assert (send(), send(1)) == (1, 0)
    told.refresh_from_db()
    hook.refresh_from_db()
    assert (told.sent_at, told.attempts, told.next_attempt_at, told.last_error) == (NOON, 1, None, "")
    assert (hook.last_sent_at, hook.failures, hook.not_before) == (NOON, 0, None)
    assert [one.headers["webhook-id"] for one in received(receiver)] == [str(told.pk)]
    assert send(60) == 1
    assert received(receiver)[1].headers["webhook-id"] == str(later.pk)


ANSWERS = {
    # what the receiver does: whether it is asked again, and a word of what the row says
    "500": (status(500), True, "500"),
    "503": (status(503, body=b"down"), True, "503: down"),
    "408": (status(408), True, "408"),
    "429": (status(429), True, "429"),
    "garbage": (b"what is this?\r\n\r\n", True, "not HTTP"),
    "hangs up": (sends(close=True), True, "broke off"),
    "400": (status(400, body=b"invalid_payload"), False, "400: invalid_payload"),
    "404": (status(404), False, "404"),
    "410": (status(410), False, "410"),
    "301": (status(301, "Location: http://127.0.0.1:1/"), False, "redirect"),
    "307": (status(307, "Location: http://127.0.0.1:1/"), False, "redirect"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_receiver_that_fails_is_asked_again_or_not(listen, name):
    answer, again, said = ANSWERS[name]
    receiver = listen(answering(answer, OK))
    hook = channel(url=receiver.url())
    told = waiting(hook, alert())
    assert send() == 0
    told.refresh_from_db()
    hook.refresh_from_db()
    assert said in told.last_error == hook.last_error
    assert (hook.last_failed_at, hook.failures, told.sent_at) == (NOON, 1, None)
    assert (told.next_attempt_at is not None) == again
    assert send(1) == 0
    assert send(HOUR) == (1 if again else 0)
    first, *rest = received(receiver)
    assert [one.headers["webhook-id"] for one in rest] == ([first.headers["webhook-id"]] if again else [])
    told.refresh_from_db()
    assert (told.sent_at is not None) == again


def test_a_receiver_that_is_slow_costs_its_time_out(listen, monkeypatch):
    monkeypatch.setattr(posting, "TIMEOUT_S", 0.2)
    receiver = listen(answering(lambda conn: time.sleep(0.6), OK))
    told = waiting(channel(url=receiver.url()), alert())
    assert send() == 0
    told.refresh_from_db()
    assert "in time" in told.last_error
    assert send(HOUR) == 1


def test_nobody_there_is_asked_again():
    told = waiting(channel(url="http://127.0.0.1:1/"), alert())
    assert send() == 0
    told.refresh_from_db()
    assert told.next_attempt_at == NOON + dt.timedelta(seconds=10)
    assert "can't be reached" in told.last_error


def test_an_address_inside_is_refused_at_connect_time(listen, settings):
    receiver = listen()
    settings.EGRESS_ALLOWED_NETWORKS = []
    told = waiting(channel(url=receiver.url()), alert())
    assert send() == 0
    told.refresh_from_db()
    assert (receiver.accepted, told.next_attempt_at) == (0, None)
    assert "loopback" in told.last_error


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Retry-After: 120", 120),
        ("Retry-After: Sun, 22 Nov 2026 12:05:00 GMT", 300),
        ("Retry-After: 999999999999", HOUR),
        ("Retry-After: 1", 10),
        ("Retry-After: soon", 10),
        ("Retry-After: -5", 10),
    ],
)
def test_a_receiver_says_when_to_ask_again_within_a_bound(listen, header, seconds):
    told = waiting(channel(url=listen(answering(status(429, header))).url()), alert())
    send()
    told.refresh_from_db()
    assert told.next_attempt_at == NOON + dt.timedelta(seconds=seconds)


def test_delays_double_to_an_hour_and_are_spread():
    assert [delay(n, None, lambda: 1.0).total_seconds() for n in (1, 2, 3, 9, 10, 30)] == [10, 20, 40, 2560, 3600, 3600]
    assert delay(1, None, lambda: 0.0).total_seconds() == 5


def test_what_does_not_arrive_in_a_day_is_given_up_in_sight(listen):
    receiver = listen(answering(status(500)))
    told = waiting(channel(url=receiver.url()), alert())
    at_s = 0.0
    while True:
        send(at_s)
        told.refresh_from_db()
        if told.next_attempt_at is None:
            break
        at_s = (told.next_attempt_at - NOON).total_seconds()
    assert 20 * HOUR < at_s < 24 * HOUR
    assert told.attempts == len(receiver.requests) <= MOST_ATTEMPTS
    assert (told.sent_at, told.last_error) == (None, "It answered 500: {}")


def test_a_channel_that_is_down_is_asked_once_and_holds_up_no_other(listen):
    down, well = listen(answering(status(503))), listen()
    broken, hook = channel(name="broken", url=down.url()), channel(name="well", url=well.url())
    for number in range(5):
        one = alert(f"tool-{number}")
        waiting(broken, one)
        waiting(hook, one)
    assert send() == 5
    assert (len(down.requests), len(well.requests)) == (1, 5)
    broken.refresh_from_db()
    assert broken.not_before == NOON + dt.timedelta(seconds=10)
    assert send(9) == 0
    assert len(down.requests) == 1
    send(11)
    assert len(down.requests) == 2


def test_several_channels_are_asked_at_the_same_time(listen):
    def slowly(conn):
        time.sleep(0.3)
        conn.sendall(OK)

    for number in range(5):
        waiting(channel(name=f"hook {number}", url=listen(slowly).url()), alert())
    began = time.monotonic()
    assert send() == 5
    assert time.monotonic() - began < 1.2


# order


def test_a_resolved_never_overtakes_its_firing(listen):
    receiver = listen(answering(status(500), OK))
    hook, one = channel(url=receiver.url()), alert()
    waiting(hook, one, "firing", 1)
    waiting(hook, one, "resolved", 2)
    AlertInstance.objects.update(state="resolved")
    send()
    send(5)
    assert kinds(receiver) == ["alert.firing"]
    assert send(HOUR) == 2
    assert kinds(receiver) == ["alert.firing", "alert.firing", "alert.resolved"]


def test_nobody_hears_that_it_is_over_who_did_not_hear_that_it_fired(listen):
    receiver = listen(answering(status(404), OK))
    hook, one = channel(url=receiver.url()), alert()
    waiting(hook, one, "firing", 1)
    over = waiting(hook, one, "resolved", 2)
    send()
    assert kinds(receiver) == ["alert.firing"]
    over.refresh_from_db()
    assert (over.sent_at, over.next_attempt_at, over.last_error) == (None, None, outbox.UNHEARD)


def test_a_repetition_that_is_old_news_is_not_sent(listen):
    receiver = listen()
    hook, one = channel(url=receiver.url()), alert()
    waiting(hook, one, "firing", 1)
    waiting(hook, one, "repeat", 2)
    waiting(hook, one, "repeat", 3)
    send()
    assert kinds(receiver) == ["alert.firing", "alert.still_firing"]
    assert AlertNotification.objects.get(version=2).last_error == outbox.OUTDATED


def test_nothing_is_sent_through_a_channel_that_is_off(listen):
    receiver = listen()
    hook = channel(url=receiver.url(), enabled=False)
    told = waiting(hook, alert())
    assert send() == 0
    told.refresh_from_db()
    assert (receiver.requests, told.last_error) == ([], outbox.SWITCHED_OFF)


# silences

SILENCES = {
    "everything": ({}, True),
    "the rule": ({"rule": True}, True),
    "another rule": ({"rule": False}, False),
    "the tool": ({"tool_name": "create_ticket"}, True),
    "another tool": ({"tool_name": "send_message"}, False),
    "the tool of a service": ({"tool_name": "create_ticket", "service": "crm"}, False),
    "only the beginning of a name": ({"tool_name": "create"}, False),
    "not yet": ({"starts_at": NOON + dt.timedelta(minutes=1)}, False),
    "no more": ({"starts_at": NOON - dt.timedelta(hours=2), "ends_at": NOON}, False),
}


def silence(**fields):
    begins = NOON - dt.timedelta(hours=1)
    given = {"starts_at": begins, "ends_at": NOON + dt.timedelta(hours=1), "why": "a test", "created_by": "bob"}
    return AlertSilence.objects.create(**given | fields)


@pytest.mark.parametrize("name", SILENCES)
def test_a_silence_is_about_what_it_names(listen, name):
    matchers, is_silent = SILENCES[name]
    receiver = listen()
    one = alert()
    if "rule" in matchers:
        matchers = matchers | {"rule": one.rule if matchers["rule"] else error_rule(name="another")}
    silence(**matchers)
    waiting(channel(url=receiver.url()), one)
    assert send() == (0 if is_silent else 1)
    assert len(receiver.requests) == (0 if is_silent else 1)


def test_an_alert_that_still_fires_when_the_silence_ends_is_told_then(listen):
    receiver = listen()
    made = silence()
    told = waiting(channel(url=receiver.url()), alert())
    send()
    told.refresh_from_db()
    assert (told.silenced_by, told.next_attempt_at, told.attempts) == (made, made.ends_at, 0)
    assert send(HOUR - 1) == 0
    assert send(HOUR) == 1
    assert kinds(receiver) == ["alert.firing"]


def test_what_came_and_went_in_silence_is_not_told(listen):
    receiver = listen()
    silence()
    hook, one = channel(url=receiver.url()), alert()
    waiting(hook, one, "firing", 1)
    send()
    waiting(hook, one, "resolved", 2)
    AlertInstance.objects.update(state="resolved")
    assert send(HOUR) == 0
    assert receiver.requests == []
    assert dict(AlertNotification.objects.values_list("kind", "last_error")) == {
        "firing": outbox.OVER_IN_SILENCE,
        "resolved": outbox.UNHEARD,
    }


def test_the_end_of_what_was_told_before_the_silence_is_told_after_it(listen):
    receiver = listen()
    hook, one = channel(url=receiver.url()), alert()
    waiting(hook, one, "firing", 1)
    send()
    silence()
    waiting(hook, one, "resolved", 2)
    assert send(1) == 0
    assert send(HOUR) == 1
    assert kinds(receiver) == ["alert.firing", "alert.resolved"]


# workers


def test_a_lease_stands_before_anything_leaves(listen):
    seen = []

    def answer(conn):
        seen.append(None)
        conn.sendall(OK)

    receiver = listen(answer)
    hook = channel(url=receiver.url())
    told = waiting(hook, alert())
    claimed = outbox.claim_channel(NOON)
    claim = outbox.claim_next(claimed, NOON)
    told.refresh_from_db()
    hook.refresh_from_db()
    assert claim.attempt == told.attempts == 1
    assert told.next_attempt_at == hook.not_before == NOON + LEASE
    # The worker is gone: nobody sends it before the lease ends, and then it is sent under its id.
    assert send(LEASE.total_seconds() - 1) == 0
    assert send(LEASE.total_seconds()) == 1
    assert [one.headers["webhook-id"] for one in received(receiver)] == [str(told.pk)]


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_senders_at_once_send_nothing_twice(listen):
    receivers = [listen() for _ in range(3)]
    for number, receiver in enumerate(receivers):
        hook = channel(name=f"hook {number}", url=receiver.url())
        for n in range(20):
            waiting(hook, alert(f"tool-{n}"))
    assert sum(at_once(4, lambda _: send())) == 60
    ids = [one.headers["webhook-id"] for receiver in receivers for one in received(receiver)]
    assert len(ids) == len(set(ids)) == 60
    assert not AlertNotification.objects.filter(sent_at=None).exists()
    assert not AlertChannel.objects.exclude(not_before=None).exists()


def test_a_sender_whose_lease_ran_out_takes_nothing_from_the_one_that_sends_now():
    waiting(channel(url="https://alerts.example.com/hook"), alert())
    slow = outbox.claim_next(outbox.claim_channel(NOON), NOON)
    later = NOON + LEASE + dt.timedelta(seconds=1)
    now = outbox.claim_next(outbox.claim_channel(later), later)
    assert (slow.attempt, now.attempt) == (1, 2)
    assert outbox.record_failed(slow, NotSent("too slow", again=False), later, lambda: 1.0) is None
    row = AlertNotification.objects.get()
    assert (row.next_attempt_at, row.last_error) == (now.leased_until, ""), "its lease stands and nothing is given up"
