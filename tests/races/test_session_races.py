"""Many steps of one session at once: as many as it may have, and sums that are exact."""

from collections import Counter
from decimal import Decimal

import pytest
from django.db.models import Sum
from django.utils import timezone

from telemetry.models import Session, Step
from telemetry.recorder import SYSTEM
from telemetry.sessions import expire_idle, stop_session
from tests.journeys.test_sessions import opened, search, stepped
from tests.races.threads import at_once
from tests.world import SEED_TOOLS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
THREADS = 32


def assert_sums_are_those_of_the_steps():
    session = Session.objects.get()
    steps = Step.objects.filter(session=session)
    sums = steps.aggregate(*[Sum(name) for name in ("latency_us", "tokens_in", "tokens_out", "cost_est", "violations")])
    assert (session.total_steps, session.steps_begun) == (steps.count(), steps.count())
    assert session.total_latency_us == sums["latency_us__sum"]
    assert (session.total_tokens_in, session.total_tokens_out) == (sums["tokens_in__sum"], sums["tokens_out__sum"])
    assert session.total_cost_est == sums["cost_est__sum"] > Decimal(0)
    assert session.total_violations == sums["violations__sum"]
    assert sorted(steps.values_list("number", flat=True)) == list(range(1, steps.count() + 1))


def test_32_steps_at_once_are_as_many_as_the_session_may_have(world):
    caller = world.caller(world.allowing(*SEED_TOOLS))
    opened(caller, policy={"max_steps": 20})

    def act(number):
        if number % 2:
            return search(caller, query=f"bo.{number % 5}@example.com", tokens_in=number, tokens_out=1)["decision"]
        return stepped(caller, "user", f"Message {number}", tokens_in=number, tokens_out=2)["decision"]

    answers = Counter(at_once(THREADS, act))
    assert answers == {"ok": 20, "denied_policy": THREADS - 20}
    assert Session.objects.get().steps_refused == THREADS - 20
    assert_sums_are_those_of_the_steps()


def test_a_session_that_is_stopped_meanwhile_takes_no_step_after(world):
    caller = world.caller(world.allowing(*SEED_TOOLS))
    opened(caller)
    session = Session.objects.get()

    def act(number):
        if number == 0:
            return stop_session(session, SYSTEM, "test")
        answer = caller.post("/sessions/demo_session/steps", {"role": "user", "input_text": "hello", "tokens_in": 5})
        return answer.json().get("code") or answer.json()["decision"]

    answers = Counter(at_once(THREADS, act))
    assert set(answers) <= {True, "ok", "session_closed"}
    assert_sums_are_those_of_the_steps() if answers["ok"] else None
    assert Session.objects.get().steps_begun == answers["ok"]
    assert stepped(caller, "user", "and now?", status=409)["code"] == "session_closed"


def test_one_name_is_opened_once(world):
    caller = world.caller(world.allowing(*SEED_TOOLS))
    body = {"session_id": "once", "model": "gpt-4o"}
    answers = Counter(at_once(16, lambda n: caller.post("/sessions", body).status_code))
    assert answers == {201: 1, 409: 15}


def test_a_session_that_is_used_is_not_expired_by_a_sweep_that_looked_before(world):
    import datetime as dt

    caller = world.caller(world.allowing(*SEED_TOOLS))
    opened(caller)
    idle = dt.timedelta(hours=1)
    Session.objects.update(last_used_at=timezone.now() - 2 * idle)

    def act(number):
        if number:
            return expire_idle(timezone.now(), idle)
        return stepped_or_closed(caller)

    answers = at_once(8, act)
    session = Session.objects.get()
    if answers[0] == "ok":
        assert (session.status, sum(answers[1:])) == ("open", 0)
    else:
        assert (answers[0], session.status, sum(answers[1:])) == ("session_closed", "expired", 1)


def stepped_or_closed(caller):
    answer = caller.post("/sessions/demo_session/steps", {"role": "user", "input_text": "hello"})
    return answer.json().get("code") or answer.json()["decision"]
