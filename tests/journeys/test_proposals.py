"""The first phase at the public door: allowed, blocked, waiting, denied; what is stored, and that nothing runs."""

import pytest
from django.utils import timezone

from approvals.actions import decide
from approvals.models import CommitToken, IntegritySettings, PendingAction, PromptBaseline, Proposal
from approvals.scoring import prompt_hash
from approvals.signing_keys import revoke
from observatory.approved import run_approved, run_ready
from observatory.demo.models import Ticket
from telemetry.models import AuditEvent, Payload
from telemetry.recorder import SYSTEM, open_payload
from tests.journeys.proposals import APART, SAME, committed, proposed, ticket
from tools.actions.switches import engage
from tools.models import KillSwitch, Tool

pytestmark = pytest.mark.django_db


@pytest.fixture
def caller(world):
    return world.caller(world.two_phase())


@pytest.fixture
def waiting(world):
    """A caller whose tickets are proposed and then wait for a person."""
    return world.caller(world.two_phase(waits=True, name="waits"))


def events_of(proposal_id):
    return list(AuditEvent.objects.about("pending_action", proposal_id).order_by("pk").values_list("type", flat=True))


def test_a_proposal_with_a_low_score_is_allowed_and_runs_nothing(world, caller):
    answer = proposed(caller, ticket(world))
    body = answer.json()
    assert answer.status_code == 200
    assert body["status"] == "allowed"
    assert body["tool_name"] == "create_ticket"
    assert body["tool_args"] == ticket(world)
    assert body["composite_score"] == 0.0
    assert body["signals"] == {"output_instability": 0.0, "numeric_variance": None, "prompt_drift": None}
    assert body["commit_token"].startswith("mo1.")
    assert {"token_id", "proposal_id", "expires_at"} <= set(body)
    assert Ticket.objects.count() == 0
    assert events_of(body["proposal_id"]) == ["action.requested", "action.approved", "token.issued"]
    assert answer["X-Trace-Id"] == Proposal.objects.get().trace_id


def test_the_token_is_stored_nowhere(world, caller):
    token = proposed(caller, ticket(world)).json()["commit_token"]
    row = CommitToken.objects.get()
    assert row.nonce not in token.split(".")[-1]
    everything = [
        str(vars(m)) for model in (CommitToken, Proposal, PendingAction, AuditEvent) for m in model.objects.all()
    ]
    assert not any(token.rpartition(".")[2] in text for text in everything)


def test_a_stored_answer_holds_no_token_and_its_repeat_has_a_good_one(world, caller):
    first = proposed(caller, ticket(world), Idempotency_Key="k").json()
    kept = [open_payload(payload).decode() for payload in Payload.objects.all()]
    assert any(first["proposal_id"] in text for text in kept)
    assert not any(first["commit_token"] in text or first["token_id"] in text for text in kept)
    revoke(first["commit_token"].split(".")[1], SYSTEM, timezone.now(), "leaked")
    again = proposed(caller, ticket(world), Idempotency_Key="k").json()
    assert again["commit_token"] != first["commit_token"]
    assert committed(caller, again).json()["status"] == "committed"
    late = proposed(caller, ticket(world), Idempotency_Key="k").json()
    assert "commit_token" not in late


def test_a_proposal_with_a_high_score_is_a_draft_and_can_never_be_committed(world, caller):
    body = proposed(caller, ticket(world), APART).json()
    assert (body["status"], body["action"], body["reason"]) == ("blocked", "create_draft", "low_integrity")
    assert body["draft"] == {"tool": "create_ticket", **ticket(world)}
    assert "commit_token" not in body
    again = proposed(caller, ticket(world), APART).json()
    same = ("status", "action", "reason", "draft", "composite_score", "signals")
    assert {name: body[name] for name in same} == {name: again[name] for name in same}
    assert events_of(body["proposal_id"]) == ["action.requested", "action.blocked"]
    assert caller.get(f"/proposals/{body['proposal_id']}").json()["status"] == "blocked"
    assert (
        decide(body["proposal_id"], world.bob, approve=True, reason="", via="admin", now=timezone.now()).code
        == "already_decided"
    )


def test_no_signal_at_all_blocks_outside_the_demonstration(world, caller, settings):
    settings.DEMO = False
    assert proposed(caller, ticket(world), None).json()["status"] == "blocked"
    assert proposed(caller, ticket(world)).json()["status"] == "allowed"
    settings.DEMO = True
    assert proposed(caller, ticket(world), None).json()["status"] == "allowed"
    assert [p.candidate_source for p in Proposal.objects.order_by("created_at")] == ["none", "caller", "demo"]


def test_a_high_risk_tool_refuses_the_callers_own_outputs_outside_the_demonstration(world, caller, settings):
    Tool.objects.filter(name="create_ticket").update(risk="high")
    assert proposed(caller, ticket(world)).json()["status"] == "allowed"
    settings.DEMO = False
    refused = proposed(caller, ticket(world))
    assert (refused.status_code, refused.json()["code"]) == (422, "candidates_refused")
    assert Proposal.objects.count() == 1


def test_repeating_the_approved_prompt_is_no_ground_for_a_high_risk_tool_outside_the_demonstration(
    world, caller, settings
):
    settings.DEMO = False
    tool = Tool.objects.get(name="create_ticket")
    PromptBaseline.objects.create(tool=tool, prompt_hash=prompt_hash("Please open a ticket."), approved_by="bob")
    assert proposed(caller, ticket(world), None).json()["status"] == "allowed"
    Tool.objects.filter(pk=tool.pk).update(risk="high")
    body = proposed(caller, ticket(world), None).json()
    assert (body["status"], body["composite_score"], body["signals"]["prompt_drift"]) == ("blocked", None, 0.0)


def test_weights_threshold_and_baseline_of_the_tool_decide(world, caller):
    tool = Tool.objects.get(name="create_ticket")
    drifted = PromptBaseline.objects.create(tool=tool, prompt_hash=prompt_hash("another"), approved_by="bob")
    body = proposed(caller, ticket(world)).json()
    assert (body["status"], body["signals"]["prompt_drift"]) == ("allowed", 1.0)
    assert body["composite_score"] == pytest.approx(0.2 / 0.7, abs=1e-6)
    chosen = IntegritySettings.objects.create(tool=tool, prompt_drift_weight=1.0, block_at=0.6)
    assert proposed(caller, ticket(world)).json()["status"] == "blocked"
    chosen.block_at = 0.9
    chosen.save()
    assert proposed(caller, ticket(world)).json()["status"] == "allowed"
    PromptBaseline.objects.filter(pk=drifted.pk).update(prompt_hash=prompt_hash("please  open a TICKET."))
    assert proposed(caller, ticket(world)).json()["signals"]["prompt_drift"] == 0.0
    stored = Proposal.objects.order_by("created_at")[1]
    assert (stored.block_at, stored.weights["prompt_drift"], stored.baseline_id) == (0.6, 1.0, drifted.pk)


def test_a_proposal_that_waits_gets_its_token_when_a_person_agreed(world, waiting):
    body = proposed(waiting, ticket(world)).json()
    assert body["status"] == "pending_approval"
    assert body["pending_action_id"] == body["proposal_id"]
    assert "commit_token" not in body
    path = f"/proposals/{body['proposal_id']}"
    assert waiting.get(path).json()["status"] == "pending_approval"
    bob = world.caller(waiting.key.policy, name="bobs-agent", owner=world.bob)
    answer = bob.post(f"/confirm/{body['proposal_id']}", {"approve": True})
    assert (answer.status_code, answer.json()) == (
        200,
        {"ok": True, "status": "confirmed", "proposal_id": body["proposal_id"]},
    )
    assert Ticket.objects.count() == 0
    allowed = waiting.get(path).json()
    assert allowed["status"] == "allowed"
    assert waiting.get(path).json()["commit_token"] == allowed["commit_token"]
    assert committed(waiting, allowed).json()["status"] == "committed"
    assert Ticket.objects.count() == 1
    done = waiting.get(path).json()
    assert done["status"] == "committed"
    assert done["result"]["ticket"]["title"] == "Late invoices"
    assert "commit_token" not in done


def test_the_rule_that_asks_for_a_person_is_the_one_on_record(world, waiting):
    """Though the one that asks for two phases is the stricter."""
    body = proposed(waiting, ticket(world)).json()
    asks = waiting.key.policy.rules.get(effect="require_approval").name
    assert PendingAction.objects.get(pk=body["proposal_id"]).rule == asks
    assert AuditEvent.objects.get(type="call.proposed").rule == asks


def test_a_rejected_proposal_is_told_by_its_id(world, waiting):
    body = proposed(waiting, ticket(world)).json()
    bob = world.caller(waiting.key.policy, name="bobs-agent", owner=world.bob)
    answer = bob.post(f"/confirm/{body['proposal_id']}", {"approve": False})
    assert answer.json() == {"ok": True, "status": "rejected", "proposal_id": body["proposal_id"]}


def test_a_proposal_that_nobody_had_to_agree_to_says_so(world, caller):
    body = proposed(caller, ticket(world)).json()
    assert PendingAction.objects.get(pk=body["proposal_id"]).quorum == 0
    approved = AuditEvent.objects.get(type="action.approved")
    assert (approved.actor, approved.facts["why"]) == ("system", "nobody has to agree")


def test_an_approved_proposal_is_run_by_its_commit_only(world, waiting):
    body = proposed(waiting, ticket(world)).json()
    decide(body["proposal_id"], world.bob, approve=True, reason="", via="admin", now=timezone.now())
    assert run_ready() == 0
    assert run_approved(body["proposal_id"], timezone.now()).code == "two_phase_required"
    assert Ticket.objects.count() == 0


def test_the_owner_does_not_approve_their_own_proposal(world, waiting):
    body = proposed(waiting, ticket(world)).json()
    refused = waiting.post(f"/confirm/{body['proposal_id']}", {"approve": True})
    assert (refused.status_code, refused.json()["code"]) == (403, "own_request")
    assert waiting.get(f"/proposals/{body['proposal_id']}").json()["status"] == "pending_approval"


def test_a_wait_for_a_proposal_ends_when_it_is_approved(world, waiting):
    body = proposed(waiting, ticket(world)).json()
    decide(body["proposal_id"], world.bob, approve=True, reason="", via="admin", now=timezone.now())
    stands = waiting.get(f"/actions/{body['proposal_id']}?wait=30").json()
    assert (stands["status"], stands["proposal_id"]) == ("approved", body["proposal_id"])


def test_an_agent_takes_its_waiting_proposal_back(world, waiting):
    body = proposed(waiting, ticket(world)).json()
    assert waiting.delete(f"/actions/{body['proposal_id']}").json()["status"] == "cancelled"
    assert waiting.get(f"/proposals/{body['proposal_id']}").json()["status"] == "cancelled"


def test_another_agents_proposal_is_as_if_it_were_not_there(world, caller):
    body = proposed(caller, ticket(world)).json()
    other = world.caller(caller.key.policy, name="other", owner=world.charlie)
    theirs = other.get(f"/proposals/{body['proposal_id']}")
    missing = other.get("/proposals/5b0c3c1e-6b52-4c0b-9d55-0d7d4a4f3a51")
    assert theirs.status_code == missing.status_code == 404
    assert theirs.json() == missing.json()
    assert other.get(f"/proposals/{body['proposal_id'].upper()}").json() == missing.json()
    assert other.get("/proposals/nonsense").json() == missing.json()


DENIED = [
    ({"tool": "no_such_tool", "args": {}}, 404, "unknown_tool"),
    ({"tool": "create_ticket", "args": {"title": "x"}}, 422, "denied_schema"),
    ({"tool": "create_ticket", "args": []}, 400, "invalid_parameter"),
    ({"tool": 7}, 400, "invalid_parameter"),
    ({"tool": "create_ticket", "arguments": {}}, 400, "invalid_parameter"),
    ({"tool": "create_ticket", "args": {}, "prompt": 3}, 400, "invalid_parameter"),
    ({"tool": "create_ticket", "args": {}, "candidate_outputs": ["one"]}, 400, "invalid_parameter"),
    ({"tool": "create_ticket", "args": {}, "candidate_outputs": ["one", 2]}, 400, "invalid_parameter"),
    ({"tool": "create_ticket", "args": {}, "candidate_outputs": ["a" * 65_537, ""]}, 413, "too_large"),
    ({"tool": "create_ticket", "args": {}, "session_id": "s-1"}, 404, "unknown_session"),
    ({"tool": "create_ticket", "args": {}, "session_id": 1}, 400, "invalid_parameter"),
]


@pytest.mark.parametrize(("body", "status", "code"), DENIED)
def test_what_can_not_be_proposed_is_refused_and_stores_no_proposal(world, caller, body, status, code):
    answer = caller.post("/proposals", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (Proposal.objects.count(), PendingAction.objects.count()) == (0, 0)


def test_a_proposal_passes_the_same_stages_as_a_call(world, caller):
    denying = world.caller(
        world.policy("deny", {"tools": "*", "effect": "allow"}, {"tools": "*", "effect": "deny"}), name="d"
    )
    assert proposed(denying, ticket(world)).json()["code"] in ("unknown_tool", "denied_policy")
    engage(KillSwitch(scope="everything", reason="INC-7"), SYSTEM)
    assert proposed(caller, ticket(world)).json()["code"] == "frozen"
    assert caller.post("/proposals", {"tool": "create_ticket"}, X_API_Key="mo_x").status_code == 401
    assert Proposal.objects.count() == 0


def test_a_direct_call_of_a_two_phase_tool_names_the_path(world, caller):
    refused = caller.call("create_ticket", ticket(world))
    assert (refused.status_code, refused.json()["code"]) == (403, "two_phase_required")
    assert refused.json()["propose_with"] == "POST /proposals"
    assert refused.json()["propose_as"] == "create_ticket_propose"
    assert Ticket.objects.count() == 0


def test_the_same_key_proposes_once_and_other_words_are_refused(world, caller):
    first = proposed(caller, ticket(world), Idempotency_Key="intent-1")
    again = proposed(caller, ticket(world), Idempotency_Key="intent-1")
    assert again.json() == first.json()
    assert again["Idempotency-Replayed"] == "true"
    assert Proposal.objects.count() == 1
    reused = proposed(caller, ticket(world, "Other"), Idempotency_Key="intent-1")
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    other_outputs = proposed(caller, ticket(world), APART, Idempotency_Key="intent-1")
    assert other_outputs.json()["code"] == "idempotency_key_reused"
    # The same word for the commit is another intention.
    assert committed(caller, first.json(), Idempotency_Key="intent-1").json()["status"] == "committed"


def test_a_dry_run_proposes_nothing(world):
    policy = world.policy(
        "dry",
        {"tools": "*", "effect": "allow"},
        {"tools": "*", "effect": "require_two_phase"},
        {"tools": "*", "effect": "dry_run"},
    )
    answer = proposed(world.caller(policy), ticket(world)).json()
    assert answer["dry_run"] is True
    assert Proposal.objects.count() == 0


def test_hidden_characters_and_nul_in_a_prompt_are_kept_as_visible_text(world, caller):
    body = {"tool": "create_ticket", "args": ticket(world), "prompt": "pay\x00 now\u202e", "candidate_outputs": SAME}
    assert caller.post("/proposals", body).json()["status"] == "allowed"
    kept = Proposal.objects.get().prompt_masked
    assert "\x00" not in kept
    assert "\u202e" not in kept


# the flat tools


def test_discovery_offers_both_phases_of_a_two_phase_tool_and_of_no_other(world, caller):
    tools = {tool["name"]: tool for tool in caller.get("/mcp/tools").json()["tools"]}
    phases = {name for name in tools if name.endswith(("_propose", "_commit"))}
    two_phase = {"create_ticket", *Tool.objects.filter(requires_two_phase=True).values_list("name", flat=True)}
    assert "transfer_funds" in two_phase
    assert phases == {tool + phase for tool in two_phase for phase in ("_propose", "_commit")}
    assert tools["create_ticket"]["gate"] == "two_phase"
    commit = tools["create_ticket_commit"]
    assert {"proposal_id", "commit_token", "title"} <= set(commit["input_schema"]["properties"])
    assert {"proposal_id", "commit_token", "title"} <= set(commit["input_schema"]["required"])
    assert "prompt" in tools["create_ticket_propose"]["input_schema"]["properties"]
    assert tools["create_ticket_propose"]["gate"] == "none"
    assert tools["create_ticket_propose"]["path"] == "/tools/create_ticket_propose"


def test_the_gate_of_a_flat_proposal_says_that_it_will_wait(world, waiting):
    tools = {tool["name"]: tool for tool in waiting.get("/mcp/tools").json()["tools"]}
    assert tools["create_ticket_propose"]["gate"] == "approval"


def test_the_answers_of_the_flat_tools_fit_the_schemas_that_discovery_gives(world, caller):
    from tools.schema_validator import SchemaValidator

    tools = {tool["name"]: tool for tool in caller.get("/mcp/tools").json()["tools"]}
    propose_schema = SchemaValidator(tools["create_ticket_propose"]["output_schema"])
    commit_schema = SchemaValidator(tools["create_ticket_commit"]["output_schema"])
    allowed = caller.call("create_ticket_propose", ticket(world) | {"candidate_outputs": SAME}).json()
    blocked = caller.call("create_ticket_propose", ticket(world) | {"candidate_outputs": APART}).json()
    flat = ticket(world) | {name: allowed[name] for name in ("proposal_id", "commit_token")}
    done = caller.call("create_ticket_commit", flat).json()
    assert (allowed["status"], blocked["status"], done["status"]) == ("allowed", "blocked", "committed")
    assert [propose_schema.problems(body) for body in (allowed, blocked)] == [[], []]
    assert commit_schema.problems(done) == []
    assert propose_schema.problems({"status": "allowed"}) != []
    assert Ticket.objects.count() == 1


def test_a_flat_proposal_needs_no_prompt_in_the_demonstration_and_is_blocked_elsewhere(world, caller, settings):
    assert caller.call("create_ticket_propose", ticket(world)).json()["status"] == "allowed"
    settings.DEMO = False
    assert caller.call("create_ticket_propose", ticket(world)).json()["status"] == "blocked"


@pytest.mark.parametrize("name", ["send_message_propose", "send_message_commit", "nothing_propose", "nothing_commit"])
def test_phases_of_what_has_none_are_unknown_tools(world, caller, name):
    answer = caller.call(name, {"channel": "#a", "message": "hello"})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_tool")


def test_a_flat_commit_without_its_proof_is_refused_as_malformed(world, caller):
    answer = caller.call("create_ticket_commit", ticket(world))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
