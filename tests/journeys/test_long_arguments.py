"""Arguments whose canonical bytes, or masked copy, are longer than any body that the door lets in."""

import json
from typing import Any
from unittest import mock

import pytest
from django.urls import reverse
from django.utils import timezone

from approvals.actions import recover_lapsed
from approvals.admin.bulk_decisions import NOT_SHOWN
from approvals.models import PendingAction
from approvals.transitions import burn
from telemetry.canonical import MAX_BYTES
from telemetry.models import Payload
from telemetry.recorder import SYSTEM, open_payload
from telemetry.visible import original
from tests.journeys.people import chief, signed_in
from tests.journeys.proposals import SAME
from tests.journeys.test_admin_operators import vote
from tests.journeys.test_bulk_decisions import ask, seen_on
from tools.actions.tools import save_http_tool
from tools.models import HttpEndpoint, Tool
from tools.registry import Declaration

pytestmark = pytest.mark.django_db
# 250 KB as sent, a megabyte once each number is written out.
NUMBERS = b'{"amounts":[' + b",".join([b"1e15"] * 50_000) + b"]}"
# Each address is shorter than the words that mask it.
ADDRESSES = json.dumps({"to": [" ".join(["a@b.se"] * 18)] * 1_900}).encode()


@pytest.fixture
def anything(world: Any, settings: Any) -> None:
    """A tool that takes any object; nothing here runs it."""
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    tool = Tool(name="anything", executor="http", network="yes")
    address = HttpEndpoint(method="POST", url="http://127.0.0.1:9/")
    declaration = Declaration("anything", "Anything", "Takes any object.", {"type": "object"}, None, {}, {})
    save_http_tool(tool, declaration, address, SYSTEM)


def held(world: Any, body: bytes) -> PendingAction:
    policy = world.policy("held", {"tools": "anything", "effect": "require_approval"})
    answer = world.caller(policy).call("anything", body)
    return PendingAction.objects.get(pk=answer.json()["pending_action_id"])


def proposed(world: Any, body: bytes) -> tuple[PendingAction, Any]:
    caller = world.caller(world.two_phase("anything", waits=True))
    outputs = json.dumps(SAME).encode()
    answer = caller.post("/proposals", b'{"tool":"anything","candidate_outputs":' + outputs + b',"args":' + body + b"}")
    assert answer.json()["status"] == "pending_approval"
    return PendingAction.objects.get(pk=answer.json()["proposal_id"]), caller


def longest(action: PendingAction) -> int:
    assert action.arguments
    return max(len(open_payload(action.arguments)), len(action.args_masked))


def pages_of(action: PendingAction, *names: str) -> list[str]:
    return [reverse(f"admin:approvals_pendingaction_{name}", args=[action.pk]) for name in names]


@pytest.mark.usefixtures("anything")
@pytest.mark.parametrize("way", ["held", "proposed"])
def test_long_arguments_when_canonical_are_shown_decided_and_read(world: Any, way: str) -> None:
    action, caller = (held(world, NUMBERS), None) if way == "held" else proposed(world, NUMBERS)
    assert len(NUMBERS) < MAX_BYTES < longest(action)
    bob = signed_in(world.bob)
    page = bob.get(pages_of(action, "change")[0])
    assert json.loads(original(page.context["arguments"])) == {"amounts": [10**15] * 50_000}
    assert [bob.get(address).status_code for address in pages_of(action, "approve", "reject")] == [200, 200]
    assert len(seen_on(ask(bob, [action]))) == 1
    if caller:
        assert caller.get(f"/proposals/{action.pk}").json()["tool_args"] == {"amounts": [10**15] * 50_000}
        shown = signed_in(chief(world)).get(reverse("admin:approvals_proposal_change", args=[action.pk]))
        assert shown.status_code == 200
    assert vote(bob, action).status_code == 302


@pytest.mark.usefixtures("anything")
def test_long_arguments_when_of_an_unknown_outcome_are_shown_to_who_settles_it(world: Any) -> None:
    action = held(world, NUMBERS)
    bob = signed_in(world.bob)
    vote(bob, action)
    burn(action.pk, timezone.now())
    PendingAction.objects.update(lease_until=timezone.now())
    assert recover_lapsed(timezone.now()) == 1
    assert bob.get(pages_of(action, "settle")[0]).status_code == 200


@pytest.mark.usefixtures("anything")
@pytest.mark.parametrize("kept", [True, False])
def test_masked_arguments_when_longer_than_a_body_are_shown(world: Any, kept: bool) -> None:
    """To those who may not read payloads, and to all once the payload is gone."""
    action, caller = proposed(world, ADDRESSES)
    assert len(ADDRESSES) < MAX_BYTES < len(action.args_masked)
    if not kept:
        Payload.objects.all().delete()
    reader = signed_in(world.person("fay", "auditors") if kept else world.bob)
    page = reader.get(pages_of(action, "change")[0])
    assert "[masked" in page.context["arguments"]
    assert "@" not in page.context["arguments"]
    assert caller.get(f"/proposals/{action.pk}").status_code == 200


@pytest.mark.usefixtures("anything")
def test_bulk_page_when_one_can_not_be_shown_leaves_that_one_out(world: Any) -> None:
    first = held(world, b'{"n":1}')
    caller = world.caller(first.policy_revision.policy, name="other")
    second = PendingAction.objects.get(pk=caller.call("anything", b'{"n":2}').json()["pending_action_id"])
    bob = signed_in(world.bob)

    def breaks(pending: PendingAction) -> Any:
        if pending.pk == first.pk:
            raise RuntimeError("can't be shown")
        return ()

    with mock.patch("approvals.admin.bulk_decisions._short_facts", breaks):
        page = ask(bob, [first, second])
    assert page.status_code == 200
    refused = {one.pending.pk: one.refusal for one in page.context["asked"]}
    assert refused == {first.pk: NOT_SHOWN, second.pk: ""}
    assert [value.split(":")[0] for value in seen_on(page)] == [str(second.pk)]
