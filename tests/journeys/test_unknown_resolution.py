"""What was cut off is settled by a person with evidence, once and for ever; who asks again is told."""

import json
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from approvals.actions import decide, recover_lapsed
from approvals.models import PendingAction
from approvals.resolution import resolve
from approvals.states import Status
from approvals.transitions import burn, record_result
from observatory.approved import run_approved, run_ready
from observatory.demo.models import Customer
from telemetry.models import AuditEvent, Payload
from tests.journeys.people import signed_in
from tests.races.threads import at_once
from tools import idempotency
from tools.contract import Stop
from tools.models import Tool

pytestmark = pytest.mark.django_db
FOUND = "The customer page shows vip since 14:02, changed by this call."


class CutOff:
    """A status change that was burnt and then cut off before its outcome was recorded."""

    def __init__(self, world: Any, policy: Any = None) -> None:
        self.asker = world.caller(policy or world.allowing())
        self.arguments = {"customer_id": world.acme.pk, "new_status": "vip"}
        self.action = PendingAction.objects.get(pk=self.ask().json()["pending_action_id"])
        decide(self.action.pk, world.bob, approve=True, reason="", via="admin", now=timezone.now())
        self.permit: Any = burn(self.action.pk, timezone.now())
        PendingAction.objects.filter(pk=self.action.pk).update(lease_until=timezone.now())
        # What may be called twice would be carried on instead.
        Tool.objects.filter(name="update_customer_status").update(idempotent=False)
        assert recover_lapsed(timezone.now()) == 1

    def ask(self) -> Any:
        return self.asker.call("update_customer_status", self.arguments, Idempotency_Key="k")

    @property
    def page(self) -> str:
        return reverse("admin:approvals_pendingaction_settle", args=[self.action.pk])

    @property
    def status(self) -> str:
        self.action.refresh_from_db()
        return self.action.status


@pytest.fixture
def cut_off(world: Any) -> CutOff:
    return CutOff(world)


@pytest.mark.parametrize(
    ("word", "status", "code"), [("yes", Status.DONE, "resolved_done"), ("no", Status.FAILED, "resolved_failed")]
)
def test_finding_when_settled_stands_and_the_agent_is_told(
    world: Any, cut_off: CutOff, word: str, status: Status, code: str
) -> None:
    assert cut_off.ask().json()["code"] == "outcome_unknown"
    answer = signed_in(world.bob).post(cut_off.page, {"done": word, "evidence": FOUND}, follow=True)
    assert "Settled: it was" in answer.content.decode()
    assert FOUND in answer.content.decode()
    assert (cut_off.status, cut_off.action.reason) == (status, code)
    event = AuditEvent.objects.get(type=f"action.{status.value}")
    assert (event.actor, event.facts["from"], event.facts["why"]) == ("bob", "unknown", FOUND)
    repeat = cut_off.ask()
    assert (repeat.status_code, repeat.json()["code"]) == (409, code)
    assert FOUND not in repeat.content.decode()
    stored = idempotency.stored_answer(cut_off.action.result)
    assert stored
    assert stored["facts"]["evidence"] == FOUND
    seen_by_agent = cut_off.asker.get(f"/actions/{cut_off.action.pk}").json()
    assert (seen_by_agent["status"], seen_by_agent["reason"]) == (status, code)
    assert FOUND not in str(seen_by_agent)


def test_finding_when_a_late_worker_disagrees_stays(world: Any, cut_off: CutOff) -> None:
    resolve(cut_off.action.pk, world.bob, done=False, evidence=FOUND, now=timezone.now())
    late = idempotency.store_answer({"ok": True}, "", {}, timezone.now())
    assert not record_result(cut_off.permit, Status.DONE, "allowed", late, timezone.now())
    assert (cut_off.status, run_ready()) == (Status.FAILED, 0)
    assert cut_off.ask().json()["code"] == "resolved_failed"
    world.acme.refresh_from_db()
    assert world.acme.status == "active"


def test_finding_when_settled_twice_is_the_first(world: Any, cut_off: CutOff) -> None:
    client = signed_in(world.bob)
    client.post(cut_off.page, {"done": "yes", "evidence": FOUND})
    again = client.post(cut_off.page, {"done": "no", "evidence": FOUND})
    assert again.status_code == 409
    assert cut_off.status == Status.DONE


def test_finding_when_the_run_itself_gave_no_clear_answer_replaces_it(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record then holds the answer of the run, which says no more than that it failed somewhere."""
    asker = world.caller(world.allowing())
    body = {"customer_id": world.acme.pk, "new_status": "vip"}
    held = asker.call("update_customer_status", body, Idempotency_Key="k").json()
    action = PendingAction.objects.get(pk=held["pending_action_id"])
    decide(action.pk, world.bob, approve=True, reason="", via="admin", now=timezone.now())

    def breaks(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("cut off")

    with monkeypatch.context() as broken:
        broken.setattr(Customer, "save", breaks)
        run_approved(action.pk, timezone.now())
    assert asker.call("update_customer_status", body, Idempotency_Key="k").json()["code"] == "tool_failed"
    resolve(action.pk, world.bob, done=True, evidence=FOUND, now=timezone.now())
    assert asker.call("update_customer_status", body, Idempotency_Key="k").json()["code"] == "resolved_done"


def test_settling_when_nothing_is_unknown_changes_nothing(world: Any) -> None:
    asker = world.caller(world.allowing())
    body = {"customer_id": world.acme.pk, "new_status": "vip"}
    held = asker.call("update_customer_status", body).json()["pending_action_id"]
    answer = resolve(held, world.bob, done=True, evidence=FOUND, now=timezone.now())
    assert isinstance(answer, Stop)
    assert answer.code == "already_decided"
    assert PendingAction.objects.get(pk=held).status == Status.PENDING


@pytest.mark.parametrize(
    ("who", "self_confirm", "status"),
    [("bob", False, 302), ("alice", False, 403), ("alice", True, 302), ("fay", False, 403), ("gil", False, 403)],
)
def test_settling_when_by_somebody_takes_other_eyes_and_the_permission(
    world: Any, who: str, self_confirm: bool, status: int
) -> None:
    """Alice's agent asked; fay may look at everything, gil at nothing."""
    fay, gil = world.person("fay", "auditors"), world.person("gil")
    people = {"bob": world.bob, "alice": world.alice, "fay": fay, "gil": gil}
    cut_off = CutOff(world, world.allowing(self_confirm=self_confirm))
    client = signed_in(people[who])
    assert client.post(cut_off.page, {"done": "yes", "evidence": FOUND}).status_code == status
    assert (cut_off.status == Status.DONE) is (status == 302)
    page = client.get(reverse("admin:approvals_pendingaction_change", args=[cut_off.action.pk]))
    assert page.status_code == (404 if who == "gil" else 200)


def test_settling_when_asked_of_the_function_itself_needs_the_permission(world: Any, cut_off: CutOff) -> None:
    fay = world.person("fay", "auditors")
    assert isinstance(resolve(cut_off.action.pk, fay, done=True, evidence=FOUND, now=timezone.now()), Stop)
    assert cut_off.status == Status.UNKNOWN
    found = resolve(cut_off.action.pk, world.bob, done=True, evidence=FOUND, now=timezone.now())
    assert isinstance(found, PendingAction)


@pytest.mark.parametrize(
    "fields", [{"evidence": "too short"}, {"evidence": " " * 20}, {"done": ""}, {"evidence": "x" * 2001}]
)
def test_settling_when_without_evidence_or_finding_is_refused_at_the_field(
    world: Any, cut_off: CutOff, fields: dict[str, str]
) -> None:
    page = signed_in(world.bob).post(cut_off.page, {"done": "yes", "evidence": FOUND} | fields)
    assert set(page.context["form"].errors) == set(fields)
    if evidence := fields.get("evidence"):
        answer = resolve(cut_off.action.pk, world.bob, done=True, evidence=evidence, now=timezone.now())
        assert isinstance(answer, Stop)
        assert answer.code == "invalid_parameter"
    assert cut_off.status == Status.UNKNOWN


def test_settling_by_get_or_without_its_token_changes_nothing(world: Any, cut_off: CutOff) -> None:
    assert signed_in(world.bob).get(cut_off.page, {"done": "yes", "evidence": FOUND}).status_code == 200
    strict = signed_in(world.bob, enforce_csrf_checks=True)
    assert strict.post(cut_off.page, {"done": "yes", "evidence": FOUND}).status_code == 403
    assert cut_off.status == Status.UNKNOWN


@pytest.mark.parametrize(("executor", "key"), [("http", True), ("python", False)])
def test_page_when_opened_says_what_is_known(world: Any, cut_off: CutOff, executor: str, key: bool) -> None:
    """Only tools behind HTTP were sent the action's id as their key."""
    Tool.objects.filter(pk=cut_off.action.tool_id).update(executor=executor)
    act = signed_in(world.bob).get(cut_off.page).context["act"]
    facts = dict(act.facts)
    assert str(cut_off.action.pk) in facts["Look it up by"]
    assert ("Idempotency-Key" in facts["Look it up by"]) is key
    assert "did not report back" in facts["Why"]
    assert cut_off.action.trace_id in facts["Trace"]
    assert facts["Cut off"].endswith("ago")
    assert json.loads(act.block) == cut_off.arguments


def test_evidence_when_it_holds_a_secret_is_masked_in_the_trail(world: Any, cut_off: CutOff) -> None:
    secret = "AKIA" + "Q3EGRYLPX7VZ2MWT"
    resolve(cut_off.action.pk, world.bob, done=True, evidence=f"looked it up with {secret}", now=timezone.now())
    event = AuditEvent.objects.get(type="action.done")
    assert event.facts["why"].startswith("looked it up with ")
    assert secret not in event.data


def test_evidence_when_long_is_in_the_trail_whole_and_shown_when_the_payload_is_gone(
    world: Any, cut_off: CutOff
) -> None:
    """A mask is longer than what it replaces, and the end is as telling as the beginning."""
    evidence = ("line of the log a@b.se\n" * 90)[:1_880] + "and it was done there"
    assert len(evidence) > 1_900
    signed_in(world.bob).post(cut_off.page, {"done": "yes", "evidence": evidence.replace("\n", "\r\n")})
    why = AuditEvent.objects.get(type="action.done").facts["why"]
    assert why == evidence.replace("a@b.se", "[masked email]")
    action_page = reverse("admin:approvals_pendingaction_change", args=[cut_off.action.pk])
    PendingAction.objects.update(arguments=None, result=None)
    Payload.objects.all().delete()
    assert dict(signed_in(world.bob).get(action_page).context["facts"])["Evidence"] == why


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_findings_at_once_have_one_winner(world: Any) -> None:
    cut_off = CutOff(world)
    now = timezone.now()
    late = idempotency.store_answer({"ok": True}, "", {}, now)

    def act(number: int) -> bool:
        if number == 0:
            return record_result(cut_off.permit, Status.DONE, "allowed", late, now)
        found = resolve(cut_off.action.pk, world.bob, done=number % 2 == 0, evidence=FOUND, now=now)
        return isinstance(found, PendingAction)

    assert sum(at_once(8, act)) == 1
    assert AuditEvent.objects.filter(type__in=["action.done", "action.failed"]).count() == 1
