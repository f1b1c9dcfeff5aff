"""Several actions decided at once: one page that shows each whole, then a vote on each on what it showed."""

import json
import re
import uuid
from html import unescape
from typing import Any
from unittest import mock

import pytest
from django.test import Client
from django.urls import reverse

from approvals.models import PendingAction, Proposal, Vote
from observatory.tasks import run_action
from telemetry.models import AuditEvent
from telemetry.recorder import SYSTEM
from telemetry.visible import original
from tests.journeys.people import signed_in
from tests.journeys.proposals import proposed, ticket
from tests.journeys.test_admin_operators import HOSTILE, enter
from tools.actions.policies import publish

LIST = "/admin/approvals/pendingaction/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def told() -> Any:
    """What workers were told to run."""
    with mock.patch("approvals.dispatch.current_app.send_task") as send:
        yield send


def ran(told: Any) -> list[str]:
    return [call.args[1][0] for call in told.call_args_list]


@pytest.fixture
def three(world: Any) -> list[PendingAction]:
    """Three status changes asked for by alice's key, each waiting for one person."""
    caller = world.caller(world.allowing())
    return [held(world, caller, status) for status in ("vip", "gone", "new")]


def held(world: Any, caller: Any, status: str) -> PendingAction:
    body = caller.call("update_customer_status", {"customer_id": world.acme.pk, "new_status": status}).json()
    return PendingAction.objects.get(pk=body["pending_action_id"])


def ask(client: Client, actions: list[PendingAction], what: str = "approve", **more: str) -> Any:
    """The page that asks, as the list's own form opens it."""
    chosen = [str(action.pk) for action in actions]
    return client.post(LIST, {"action": f"{what}_selected", "_selected_action": chosen, "index": "0", **more})


def answer(client: Client, asked: Any, what: str = "approve", reason: str = "checked") -> Any:
    """The answer to exactly what the page showed."""
    return client.post(step(what), {"seen": seen_on(asked), "reason": reason})


def step(what: str) -> str:
    return reverse(f"admin:approvals_pendingaction_{what}_selected")


def seen_on(page: Any) -> list[str]:
    return re.findall(r'name="seen" value="([^"]+)"', page.content.decode())


def outcomes(page: Any) -> dict[str, str]:
    return {str(result.pending.pk): result.outcome for result in page.context["results"]}


def statuses(actions: list[PendingAction]) -> list[str]:
    return [PendingAction.objects.get(pk=action.pk).status for action in actions]


def as_proposal(action: PendingAction) -> PendingAction:
    """The same request as a proposal, which waits for a person before its agent may commit it."""
    id_ = uuid.uuid4()
    Proposal(
        id=id_,
        agent=action.agent,
        agent_key=action.agent_key,
        tool=action.tool,
        tool_version=action.tool_version,
        policy_revision=action.policy_revision,
        args_digest=action.args_digest,
        args_masked=action.args_masked,
        candidate_source="caller",
        output_instability=0.125,
        composite_score=0.125,
        weights={},
        block_at=0.45,
        blocked=False,
        commit_within_s=300,
        trace_id=action.trace_id,
    ).save(force_insert=True)
    PendingAction.objects.filter(pk=action.pk).delete()
    action.pk, action.proposal_id = id_, id_
    action.save(force_insert=True)
    return PendingAction.objects.get(pk=id_)


# the page that asks


def test_selection_when_asked_about_shows_each_whole_and_the_reading_is_on_record(world: Any) -> None:
    caller = world.caller(world.policy("tickets", {"tools": "*", "effect": "require_approval"}))
    wanted = {"customer_id": world.acme.pk, "title": HOSTILE[:40], "description": HOSTILE}
    ids = [caller.call("create_ticket", wanted | {"title": f"No. {n}"}).json()["pending_action_id"] for n in range(2)]
    page = ask(signed_in(world.bob), list(PendingAction.objects.filter(pk__in=ids)))
    assert page.status_code == 200
    shown = [json.loads(original(one.arguments)) for one in page.context["asked"]]
    assert sorted(shown, key=lambda one: one["title"]) == [wanted | {"title": f"No. {n}"} for n in range(2)]
    text = page.content.decode()
    assert "<script>alert(1)" not in text
    assert all(unescape(text).count(escape) == 2 for escape in ("⟦U+202E⟧", "⟦U+200B⟧", "⟦U+E0100⟧"))
    assert AuditEvent.objects.filter(type="payload.read", actor="bob").count() == 2
    assert not Vote.objects.exists()


def test_selection_when_some_are_not_this_persons_says_why_and_leaves_them_out(world: Any) -> None:
    policy = world.allowing()
    mine = held(world, world.caller(policy, name="bobs-agent", owner=world.bob), "vip")
    alices = world.caller(policy)
    over, voted, fine = (held(world, alices, status) for status in ("a", "b", "c"))
    PendingAction.objects.filter(pk=over.pk).update(status="rejected")
    PendingAction.objects.filter(pk=voted.pk).update(quorum=2)
    client = signed_in(world.bob)
    answer(client, ask(client, [voted]))
    page = ask(client, [mine, over, voted, fine])
    refusals = {one.pending.pk: one.refusal for one in page.context["asked"]}
    assert "Your own agent" in refusals[mine.pk]
    assert "Rejected" in refusals[over.pk]
    assert "one vote" in refusals[voted.pk]
    assert seen_on(page) == [f"{fine.pk}:{fine.args_digest}"]
    # What their own agent asked for a person may still take back.
    rejected = answer(client, ask(client, [mine], "reject"), "reject")
    assert outcomes(rejected) == {str(mine.pk): "rejected"}


def test_selection_when_below_the_quorum_says_how_far_it_is(world: Any, three: list[PendingAction]) -> None:
    PendingAction.objects.filter(pk=three[0].pk).update(quorum=3)
    client = signed_in(world.bob)
    page = ask(client, three[:2])
    happens = {one.pending.pk: " ".join(one.happens) for one in page.context["asked"]}
    assert "1 of 3; 2 more" in happens[three[0].pk]
    assert "within seconds" in happens[three[1].pk]
    assert outcomes(answer(client, page))[str(three[0].pk)] == "voted on"


# deciding


def test_approval_of_three_runs_each_once(world: Any, three: list[PendingAction], told: Any) -> None:
    client = signed_in(world.bob)
    page = answer(client, ask(client, three))
    assert page.context["title"] == "3 approved"
    assert sorted(ran(told)) == sorted(str(action.pk) for action in three)
    assert statuses(three) == ["approved"] * 3
    votes = Vote.objects.values_list("operator_name", "reason", "via", "approve")
    assert list(votes) == [("bob", "checked", "admin", True)] * 3
    run_action(str(three[0].pk))
    world.acme.refresh_from_db()
    assert world.acme.status == "vip"


def test_rejection_of_two_leaves_the_third(world: Any, three: list[PendingAction], told: Any) -> None:
    client = signed_in(world.bob)
    page = answer(client, ask(client, three[:2], "reject"), "reject", "wrong customer")
    assert page.context["title"] == "2 rejected"
    assert (statuses(three), ran(told)) == (["rejected", "rejected", "pending"], [])
    assert {event.facts["why"] for event in AuditEvent.objects.filter(type="action.rejected")} == {"wrong customer"}


def test_votes_when_one_is_stale_one_decided_and_one_fine_are_told_apart(
    world: Any, three: list[PendingAction], told: Any
) -> None:
    client = signed_in(world.bob)
    asked = ask(client, three)
    stale, decided, fine = three
    PendingAction.objects.filter(pk=stale.pk).update(args_digest="0" * 64)
    PendingAction.objects.filter(pk=decided.pk).update(status="cancelled")
    page = answer(client, asked)
    refused = "not decided"
    assert outcomes(page) == {str(stale.pk): refused, str(decided.pk): refused, str(fine.pk): "approved"}
    assert page.context["title"] == "1 approved, 2 not decided"
    assert statuses(three) == ["pending", "cancelled", "approved"]
    assert ran(told) == [str(fine.pk)]
    sentences = {result.pending.pk: result.sentence for result in page.context["results"]}
    assert "Read it again" in sentences[stale.pk]
    assert "decided meanwhile" in sentences[decided.pk]


def test_vote_when_one_raises_is_said_and_holds_up_no_other(
    world: Any, three: list[PendingAction], told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from approvals.admin import bulk_decisions

    decide = bulk_decisions.decide

    def breaks_once(action_id: Any, *args: Any, **kwargs: Any) -> Any:
        if action_id == three[1].pk:
            raise RuntimeError("a fault of ours")
        return decide(action_id, *args, **kwargs)

    client = signed_in(world.bob)
    asked = ask(client, three)
    monkeypatch.setattr(bulk_decisions, "decide", breaks_once)
    assert outcomes(answer(client, asked))[str(three[1].pk)] == "not decided"
    assert statuses(three) == ["approved", "pending", "approved"]


def test_approval_when_a_proposal_is_among_them_leaves_it_to_its_agent(
    world: Any, three: list[PendingAction], told: Any
) -> None:
    proposed = as_proposal(three[0])
    client = signed_in(world.bob)
    asked = ask(client, [proposed, three[1]])
    [one] = [one for one in asked.context["asked"] if one.pending.proposal]
    assert "commit token and has 5 min" in one.happens[0]
    assert dict(one.facts)["Score"] == "0.12; blocked from 0.45"
    page = answer(client, asked)
    assert page.context["title"] == "2 approved"
    assert ran(told) == [str(three[1].pk)]
    assert "commit token" in next(r.sentence for r in page.context["results"] if r.pending.proposal)


def test_proposal_when_approved_alone_is_left_to_its_agent(world: Any, three: list[PendingAction], told: Any) -> None:
    proposed = as_proposal(three[0])
    client = signed_in(world.bob)
    page = client.get(reverse("admin:approvals_pendingaction_change", args=[proposed.pk]))
    assert dict(page.context["facts"])["Signals"] == "output instability 0.12"
    approve = reverse("admin:approvals_pendingaction_approve", args=[proposed.pk])
    assert "Nothing runs yet" in client.get(approve).context["act"].consequences[0]
    after = client.post(approve, {"reason": "", "seen_digest": proposed.args_digest}, follow=True)
    assert "is given its commit token and has 5 min" in after.content.decode()
    assert (ran(told), statuses([proposed])) == ([], ["approved"])


# what does not count


@pytest.mark.parametrize("what", ["approve", "reject"])
def test_step_by_get_or_without_its_token_changes_nothing(world: Any, three: list[PendingAction], what: str) -> None:
    seen = [f"{action.pk}:{action.args_digest}" for action in three]
    client = signed_in(world.bob)
    assert client.get(step(what), {"seen": seen}).status_code == 405
    strict = signed_in(world.bob, enforce_csrf_checks=True)
    assert strict.post(step(what), {"seen": seen}).status_code == 403
    assert ask(strict, three, what).status_code == 403
    client.get(LIST, {"action": f"{what}_selected", "_selected_action": [str(three[0].pk)]})
    assert statuses(three) == ["pending"] * 3


@pytest.mark.parametrize(
    "seen", [[], ["nonsense"], ["x:y"], ["\x00:"], [f"{uuid.uuid4()}:{'0' * 64}" for _ in range(51)]]
)
def test_step_when_nothing_or_too_much_is_chosen_decides_nothing(
    world: Any, three: list[PendingAction], seen: list[str]
) -> None:
    page = signed_in(world.bob).post(step("approve"), {"seen": seen}, follow=True)
    assert "Nothing was decided" in page.content.decode()


@pytest.mark.parametrize(("who", "count"), [("bob", 3), ("fay", 0), ("gil", 0)])
def test_step_when_by_somebody_decides_what_is_theirs(
    world: Any, three: list[PendingAction], told: Any, who: str, count: int
) -> None:
    """Fay may look at everything and decide nothing; gil may do neither: to him they are not there."""
    people = {"bob": world.bob, "fay": world.person("fay", "auditors"), "gil": world.person("gil")}
    seen = [f"{action.pk}:{action.args_digest}" for action in three]
    page = signed_in(people[who]).post(step("approve"), {"seen": seen})
    assert len(page.context["results"]) == (0 if who == "gil" else 3)
    assert statuses(three).count("approved") == count == len(ran(told))


def test_list_when_the_reader_decides_nothing_offers_no_decision(world: Any, three: list[PendingAction]) -> None:
    fay = world.person("fay", "auditors")
    assert "approve_selected" not in signed_in(fay).get(LIST).content.decode()
    assert "approve_selected" in signed_in(world.bob).get(LIST).content.decode()
    PendingAction.objects.filter(pk=three[0].pk).update(eligible_groups=["auditors"])
    assert "approve_selected" in signed_in(fay).get(LIST).content.decode()


def test_list_when_everything_is_said_to_be_selected_takes_a_page_at_most(
    world: Any, three: list[PendingAction]
) -> None:
    caller = world.caller(world.allowing(name="b"), name="b")
    for number in range(48):
        held(world, caller, f"s{number}")
    client = signed_in(world.bob)
    assert ask(client, three[:1], select_across="1").status_code == 302
    assert "At most 50 at a time" in client.get(LIST).content.decode()
    assert not AuditEvent.objects.filter(type="payload.read").exists()


def test_reason_when_it_is_too_long_is_refused_and_everything_is_shown_again(
    world: Any, three: list[PendingAction]
) -> None:
    client = signed_in(world.bob)
    page = answer(client, ask(client, three), reason="x" * 301)
    assert page.context["form"].errors
    assert len(seen_on(page)) == 3
    assert statuses(three) == ["pending"] * 3


# in a browser


@pytest.mark.django_db(transaction=True)
def test_three_when_approved_in_a_browser_and_one_has_changed(
    page: Any, live_server: Any, world: Any, three: list[PendingAction], told: Any
) -> None:
    stale = held(world, world.caller(world.allowing(name="other"), name="other-agent"), "stale")
    enter(page, live_server, "bob")
    page.get_by_text("Decide several at once").click()
    for action in [*three, stale]:
        page.check(f"input.action-select[value='{action.pk}']")
    page.select_option("#changelist-actions select[name=action]", label="Approve…")
    page.click("#changelist-actions button[name=index]")
    page.locator("#bulk-form").wait_for()
    page.uncheck(f"#choice-{three[2].pk}")
    page.fill("#id_reason", "all checked")
    PendingAction.objects.filter(pk=stale.pk).update(args_digest="0" * 64)
    page.get_by_text("Approve what is ticked").click()
    page.locator("#results").wait_for()
    assert "2 approved, 1 not decided" in page.locator("body").inner_text()
    assert statuses([*three, stale]) == ["approved", "approved", "pending", "pending"]
    assert len(ran(told)) == 2


def test_what_could_not_run_any_more_is_left_out_and_can_be_rejected(
    world: Any, three: list[PendingAction], told: Any
) -> None:
    """Published again since: the page says so before anybody presses a button."""
    publish(three[0].policy_revision.policy, SYSTEM)
    bob = signed_in(world.bob)
    asked = ask(bob, three)
    assert "Approve 0 of 3 actions" in asked.content.decode()
    assert seen_on(asked) == []
    assert "nobody can approve it" in bob.get(f"{LIST}{three[0].pk}/change/").content.decode()
    refused = ask(bob, three, "reject")
    assert answer(bob, refused, "reject").status_code == 200
    assert statuses(three) == ["rejected"] * 3


def test_what_nobody_had_to_agree_to_says_so(world: Any) -> None:
    caller = world.caller(world.two_phase())
    body = proposed(caller, ticket(world)).json()
    bob = signed_in(world.bob)
    page = bob.get(f"{LIST}{body['proposal_id']}/change/").content.decode()
    assert "nobody’s agreement" in page
    assert "nobody needed" in bob.get(LIST).content.decode()
