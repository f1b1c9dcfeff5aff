"""Sessions at their door: opened, stepped in all three channels, narrowed, counted, closed."""

import pytest

from observatory.demo.models import Customer, Message, Ticket
from telemetry.models import AuditEvent, Session, Span, Step
from tests.world import SEED_TOOLS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def caller(world):
    return world.caller(world.allowing(*SEED_TOOLS, self_confirm=False))


def opened(caller, status=201, **members):
    answer = caller.post("/sessions", {"session_id": "demo_session", "model": "gpt-4o"} | members)
    assert answer.status_code == status, answer.content
    return answer.json()


def stepped(caller, role="assistant", text="", tool=None, args=None, session="demo_session", status=200, **members):
    body = {"role": role, "input_text": text} | members
    if tool:
        body |= {"tool_name": tool, "tool_args": args or {}}
    answer = caller.post(f"/sessions/{session}/steps", body)
    assert answer.status_code == status, answer.content
    return answer.json()


def search(caller, query="acme", **members):
    return stepped(caller, tool="search_customer", args={"query": query}, **members)


def test_a_conversation_is_recorded_step_by_step(caller):
    session = opened(caller)
    assert (session["status"], session["max_steps"], session["provider"]) == ("open", 100, "openai")
    assert [tool["name"] for tool in session["tools_discovered"]] == sorted(SEED_TOOLS)
    said = stepped(caller, "user", "Is ACME still active?")
    called = search(caller, text="I look for ACME", tokens_in=10, tokens_out=20)
    told = stepped(caller, "tool", "It is.")
    assert [step["channel"] for step in (said, called, told)] == ["user_to_llm", "llm_to_tool", "tool_to_llm"]
    assert [step["step_id"] for step in (said, called, told)] == ["step_1", "step_2", "step_3"]
    assert called["output"]["results"][0]["name"] == "ACME AB"
    assert (called["decision"], called["reason"], called["rule"]) == ("ok", "allowed", "rule 1")
    assert (called["tokens_in"], called["tokens_out"], called["token_source"]) == (10, 20, "reported")
    # gpt-4o: 2.50 and 10.00 USD a million tokens
    assert called["cost_est"] == pytest.approx(10 * 2.5e-6 + 20 * 10e-6)
    assert said["token_source"] == "estimate"
    found = caller.get("/sessions/demo_session").json()
    assert [step["step_id"] for step in found["steps"]] == ["step_1", "step_2", "step_3"]
    assert (found["total_steps"], found["tools_called"]) == (3, ["search_customer"])
    assert found["total_tokens_out"] == sum(step["tokens_out"] for step in found["steps"])
    assert found["total_cost_est"] == pytest.approx(sum(step["cost_est"] for step in found["steps"]))
    closed = caller.post("/sessions/demo_session/close", {}).json()
    assert closed["status"] == "closed"
    refused = stepped(caller, "user", "One more thing", status=409)
    assert refused["code"] == "session_closed"
    assert Step.objects.count() == 3


def test_a_step_with_a_tool_is_a_call_through_the_one_door(caller):
    opened(caller)
    step = search(caller)
    span = Span.objects.get(trace_id=step["trace_id"])
    assert (span.door, span.tool_name, span.session_id, span.decision) == (
        "session",
        "search_customer",
        "demo_session",
        "ok",
    )
    event = AuditEvent.objects.get(trace_id=step["trace_id"], type="call.answered")
    assert '"session_id":"demo_session"' in event.data
    assert '"step":1' in event.data


@pytest.mark.parametrize(
    ("policy", "tool", "args", "decision", "reason"),
    [
        ({"allowlist": ["search_customer"]}, "search_customer", {"query": "a"}, "ok", "allowed"),
        ({"allowlist": ["create_ticket"]}, "search_customer", {"query": "a"}, "denied_policy", "session_allowlist"),
        ({"allowlist": []}, "search_customer", {"query": "a"}, "denied_policy", "session_allowlist"),
        ({"blocklist": ["search_customer"]}, "search_customer", {"query": "a"}, "denied_policy", "session_blocklist"),
        ({"blocklist": ["create_ticket"]}, "search_customer", {"query": "a"}, "ok", "allowed"),
        ({"no_network": True}, "search_customer", {"query": "a"}, "ok", "allowed"),
        ({}, "search_customer", {"wrong": "a"}, "denied_schema", "denied_schema"),
        ({}, "no_such_tool", {}, "denied_policy", "unknown_tool"),
        ({}, "create_ticket", {"customer_id": 999_999, "title": "Printer"}, "error", "tool_error"),
        ({"dry_run": True}, "search_customer", {"query": "a"}, "dry_run", "dry_run"),
    ],
)
def test_what_a_step_comes_to(caller, policy, tool, args, decision, reason):
    opened(caller, policy=policy)
    step = stepped(caller, tool=tool, args=args)
    assert (step["decision"], step["reason"]) == (decision, reason)
    assert (step["error"] is None) is (decision in ("ok", "dry_run"))
    assert (step["problem"] is None) is (decision in ("ok", "dry_run"))
    kept = Step.objects.get()
    assert (kept.decision, kept.selected_tool) == (decision, tool)


def test_undeclared_network_counts_as_network(caller):
    from tools.models import Tool

    opened(caller, policy={"no_network": True})
    assert search(caller)["decision"] == "ok"
    Tool.objects.filter(name="search_customer").update(network="undeclared")
    assert search(caller)["reason"] == "no_network"


def test_what_looks_like_network_is_said_and_decides_nothing(caller):
    """By the declaration the tool stays inside; by its name and an address in its arguments it does not look so."""
    opened(caller, policy={"no_network": True})
    step = search(caller, query="https://example.com/acme")
    (guess,) = [s for s in step["guardrail_signals"] if s["metric"] == "network"]
    assert (step["decision"], guess["provider"], guess["violated"]) == ("ok", "heuristic", False)
    opened(caller, session_id="wide")
    step = search(caller, query="https://example.com/acme", session="wide")
    assert not [s for s in step["guardrail_signals"] if s["metric"] == "network"]


def test_a_dry_run_runs_nothing_and_says_what_it_would_have(caller, world):
    opened(caller, policy={"dry_run": True})
    step = stepped(caller, tool="create_ticket", args={"customer_id": world.acme.pk, "title": "Printer on fire"})
    assert step["output_text"] == "[DRY RUN] Would call create_ticket"
    assert step["dry_run"] is True
    assert step["tokens_out"] > 0
    assert Ticket.objects.count() == 0
    assert Session.objects.get().tools_called == []


def test_the_step_limit_is_said_and_is_no_step(caller):
    opened(caller, policy={"max_steps": 2})
    assert [search(caller)["decision"] for _ in range(2)] == ["ok", "ok"]
    for beyond in (search(caller), stepped(caller, "user", "And now?")):
        assert (beyond["decision"], beyond["error"], beyond["step_id"]) == (
            "denied_policy",
            "Max steps exceeded",
            None,
        )
    found = Session.objects.get()
    assert (found.steps_begun, found.total_steps, found.steps_refused) == (2, 2, 2)


def test_a_held_call_is_a_step_and_what_it_ran_later_is_known_to_the_session(caller, world):
    from django.utils import timezone

    from approvals.actions import decide
    from observatory.approved import run_ready

    opened(caller)
    args = {"customer_id": world.acme.pk, "new_status": "paused"}
    step = stepped(caller, tool="update_customer_status", args=args)
    assert (step["decision"], step["reason"]) == ("held", "approval_required")
    assert step["output"]["pending_action_id"] == step["pending_action_id"]
    assert Session.objects.get().tools_called == []
    caller.post("/sessions/demo_session/close", {})
    decide(step["pending_action_id"], world.bob, approve=True, reason="", via="admin", now=timezone.now())
    run_ready()
    assert Customer.objects.get(pk=world.acme.pk).status == "paused"
    assert Session.objects.get().tools_called == ["update_customer_status"]


def test_a_call_that_names_its_session_is_a_step_of_it(caller):
    opened(caller, policy={"blocklist": ["create_ticket"]})
    answer = caller.call("search_customer", {"query": "acme"}, X_Session_Id="demo_session")
    assert answer.status_code == 200
    denied = caller.call("create_ticket", {"customer_id": 1, "title": "Printer"}, X_Session_Id="demo_session")
    assert (denied.status_code, denied.json()["code"]) == (403, "session_blocklist")
    assert [(s.number, s.selected_tool, s.decision) for s in Step.objects.order_by("number")] == [
        (1, "search_customer", "ok"),
        (2, "create_ticket", "denied_policy"),
    ]


@pytest.mark.parametrize("name", ["nobody's", "x" * 65, "a b", "", "demo\x00session"])
def test_a_session_that_is_not_there_is_unknown(caller, name):
    opened(caller)
    answer = caller.call("search_customer", {"query": "acme"}, X_Session_Id=name)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_session")


def test_another_agents_session_is_as_one_that_is_not_there(caller, world):
    opened(caller)
    other = world.caller(world.allowing(*SEED_TOOLS, name="other"), name="other-agent")

    def answers(name):
        found = [
            other.get(f"/sessions/{name}"),
            other.post(f"/sessions/{name}/close", {}),
            other.post(f"/sessions/{name}/steps", {"role": "user", "input_text": "hello"}),
            other.post(
                f"/sessions/{name}/steps",
                {"role": "assistant", "tool_name": "search_customer", "tool_args": {"query": "a"}},
            ),
            other.call("search_customer", {"query": "a"}, X_Session_Id=name),
        ]
        return [(a.status_code, {k: v for k, v in a.json().items() if k != "trace_id"}) for a in found]

    assert answers("demo_session") == answers("never_opened")
    assert {status for status, _ in answers("demo_session")} == {404}
    opened(other)  # a name is an agent's own
    assert Session.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "model"),
        ({"model": ""}, "model"),
        ({"model": 4}, "model"),
        ({"model": "m", "session_id": "a b"}, "session_id"),
        ({"model": "m", "session_id": 7}, "session_id"),
        ({"model": "m", "policy": {"max_steps": 0}}, "max_steps"),
        ({"model": "m", "policy": {"max_steps": True}}, "max_steps"),
        ({"model": "m", "policy": {"allow": []}}, "allowlist"),
        ({"model": "m", "policy": []}, "policy"),
        ({"model": "m", "guardrails": {"mode": "lax"}}, "mode"),
        ({"model": "m", "guardrails": {"thresholds": {"pii": 2}}}, "threshold"),
        ({"model": "m", "guardrails": {"thresholds": {"beauty": 0.5}}}, "thresholds"),
        ({"model": "m", "guardrails": 5}, "guardrails"),
        ({"model": "m", "policy": {"blocklist": ["a\x00b"]}}, "NUL"),
        ({"model": "m", "policy": {"blocklist": ["create_ticket_commit"]}}, "phases"),
        ({"model": "m", "upstream": "nowhere"}, "upstream"),
        ({"model": "m", "reported": "yes"}, "reported"),
        ({"model": "m", "more": 1}, "more"),
    ],
)
def test_a_session_that_can_not_be_read_is_refused_and_nothing_is_there(caller, body, word):
    answer = caller.post("/sessions", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert word in answer.json()["detail"]
    assert Session.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "role"),
        ({"role": "robot"}, "role"),
        ({"role": "user", "tool_name": "search_customer"}, "user"),
        ({"role": "assistant", "tool_args": {}}, "tool_name"),
        ({"role": "assistant", "tool_name": "search_customer", "tool_args": []}, "tool_args"),
        ({"role": "user", "input_text": 5}, "input_text"),
        ({"role": "user", "tokens_in": -1}, "tokens"),
        ({"role": "user", "tokens_out": 1.5}, "tokens"),
        ({"role": "user", "more": 1}, "more"),
    ],
)
def test_a_step_that_can_not_be_read_is_refused_and_is_no_step(caller, body, word):
    opened(caller)
    answer = caller.post("/sessions/demo_session/steps", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert word in answer.json()["detail"]
    assert Session.objects.get().steps_begun == 0


def test_a_name_is_taken_once(caller):
    opened(caller)
    assert opened(caller, status=409)["code"] == "session_exists"
    assert Session.objects.count() == 1


def test_a_session_needs_its_scope(world):
    caller = world.caller(world.allowing(*SEED_TOOLS), scopes=["tools:call"])
    assert opened(caller, status=403)["code"] == "scope_missing"


def test_the_same_configuration_has_the_same_hash_in_any_order_of_keys(caller):
    one = {"allowlist": ["search_customer", "create_ticket"], "max_steps": 5, "no_network": False}
    other = {"max_steps": 5, "allowlist": ["create_ticket", "search_customer", "create_ticket"]}
    first = opened(caller, session_id="one", policy=one, guardrails={"mode": "mixed", "thresholds": {"pii": 0}})
    second = opened(caller, session_id="two", policy=other, guardrails={"thresholds": {"pii": 0.0}, "mode": "mixed"})
    third = opened(caller, session_id="three", policy=other | {"max_steps": 6}, guardrails={"mode": "mixed"})
    assert first["rules_hash"] == second["rules_hash"] != third["rules_hash"]


def test_what_is_stored_of_a_step_is_masked_and_cut(caller):
    opened(caller)
    secret = "sk-" + "a1B2" * 8
    stepped(caller, "user", f"My key is {secret} and my address bo@example.com. " + "Long. " * 100)
    step = search(caller, query=secret)
    kept = list(Step.objects.order_by("number"))
    assert secret not in str([k.__dict__ for k in kept]) + str(step["input_text"])
    assert "bo@example.com" not in kept[0].input_text
    assert len(kept[0].input_text) <= 200
    assert "/tool_args/query" in step["masked_paths"]


def test_proposals_and_commits_are_steps_too(world):
    caller = world.caller(world.two_phase("send_message"))
    opened(caller)
    args = {"channel": "support", "message": "hello"}
    outputs = ["send hello to support", "send hello to support"]
    proposed = stepped(
        caller, tool="send_message_propose", args=args | {"prompt": "say hello", "candidate_outputs": outputs}
    )
    assert (proposed["decision"], proposed["output"]["status"]) == ("proposed", "allowed")
    token = {name: proposed["output"][name] for name in ("proposal_id", "commit_token")}
    committed = stepped(caller, tool="send_message_commit", args=args | token)
    assert (committed["decision"], committed["output"]["status"]) == ("ok", "committed")
    again = stepped(caller, tool="send_message_commit", args=args | token)
    assert (again["decision"], again["reason"]) == ("denied_state", "nonce_replay")
    assert Message.objects.count() == 1
    found = Session.objects.get()
    assert (found.total_steps, found.tools_called) == (3, ["send_message"])
    assert token["commit_token"] not in str([step.__dict__ for step in Step.objects.all()])


def test_a_call_over_mcp_that_names_its_session_is_a_step_of_it(caller):
    opened(caller, policy={"blocklist": ["create_ticket"]})

    def called(tool, arguments):
        meta = {"org.mcp-observatory/sessionId": "demo_session"}
        params = {"name": tool, "arguments": arguments, "_meta": meta}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        return caller.post("/mcp", message).json()["result"]

    assert called("search_customer", {"query": "acme"})["isError"] is False
    assert called("create_ticket", {"customer_id": 1, "title": "Printer"})["structuredContent"]["code"] == (
        "session_blocklist"
    )
    assert [step.decision for step in Step.objects.order_by("number")] == ["ok", "denied_policy"]


def test_opening_counts_and_a_frozen_agent_opens_and_steps_nothing(world):
    from telemetry.recorder import SYSTEM
    from tools.actions.switches import engage
    from tools.models import KillSwitch

    caller = world.caller(world.allowing(*SEED_TOOLS), rate="2/m")
    opened(caller)
    opened(caller, session_id="two")
    assert opened(caller, session_id="three", status=429)["code"] == "rate_limited"
    other = world.caller(caller.key.policy, name="other-agent")
    opened(other)
    engage(KillSwitch(scope="agent", agent=other.key.agent, reason="an incident"), SYSTEM)
    assert opened(other, session_id="two", status=423)["code"] == "frozen"
    assert stepped(other, "user", "hello", status=423)["code"] == "frozen"
    assert search(other)["reason"] == "frozen"


def test_what_was_kept_is_forgotten_once_the_session_is_over(caller):
    from telemetry.models import KeptSignal
    from telemetry.tasks import expire_sessions

    opened(caller)
    search(caller)
    expire_sessions()
    assert KeptSignal.objects.exists()
    caller.post("/sessions/demo_session/close", {})
    expire_sessions()
    assert not KeptSignal.objects.exists()


def test_a_session_that_nobody_uses_ends_and_says_so(caller, settings):
    from telemetry.tasks import expire_sessions

    opened(caller)
    stepped(caller, "user", "hello")
    settings.SESSION_IDLE_S = 0
    expire_sessions()
    assert Session.objects.get().status == "expired"
    assert AuditEvent.objects.filter(type="session.expired").count() == 1
    assert stepped(caller, "user", "hello?", status=409)["code"] == "session_closed"
    expire_sessions()
    assert AuditEvent.objects.filter(type="session.expired").count() == 1


def test_a_step_that_was_cut_off_is_ended_as_unknown(caller):
    import datetime as dt

    from django.utils import timezone

    from telemetry.sessions import CUT_OFF_AFTER, Said, begin_step
    from telemetry.tasks import expire_sessions

    opened(caller)
    begun = begin_step(Session.objects.get(), Said("assistant", "llm_to_tool", "", "create_ticket", {}), timezone.now())
    assert begun
    expire_sessions()
    assert Step.objects.get().ended_at is None
    Step.objects.update(began_at=timezone.now() - CUT_OFF_AFTER - dt.timedelta(seconds=1))
    expire_sessions()
    step = Step.objects.get()
    assert (step.decision, step.reason) == ("error", "outcome_unknown")
    assert Session.objects.get().total_steps == 1


def test_steps_that_ran_elsewhere_are_told_and_run_nothing(caller, world):
    assert opened(caller, reported=True)["tools_discovered"] == []
    outcome = {
        "decision": "ok",
        "output_text": "Mail bo@example.com",
        "latency_ms": 12.5,
        "guardrail_signals": [
            {
                "provider": "pii",
                "metric": "pii",
                "stage": "output",
                "score": 1.0,
                "violated": True,
                "kinds": {"email": 1},
            }
        ],
    }
    args = {"customer_id": world.acme.pk, "title": "Printer"}
    told = stepped(caller, tool="their.tool", args=args, outcome=outcome, tokens_in=3, tokens_out=4)
    assert (told["decision"], told["latency_ms"], told["violations"]) == ("ok", 12.5, 1)
    assert "bo@example.com" not in told["output_text"]
    denied = stepped(caller, tool="their.tool", args={}, outcome={"decision": "denied_policy", "reason": "no_network"})
    assert (denied["decision"], denied["reason"]) == ("denied_policy", "no_network")
    assert search(caller, status=409)["code"] == "session_reported"
    assert stepped(caller, "user", "hello", status=409)["code"] == "session_reported"
    opened(caller, session_id="here")
    refused = stepped(caller, "user", "hello", session="here", outcome={"decision": "ok"}, status=409)
    assert refused["code"] == "session_reported"
    found = Session.objects.get(session_id="demo_session")
    assert (found.total_steps, found.tools_called, found.total_violations) == (2, ["their.tool"], 1)
    assert not Span.objects.filter(tool_name="their.tool").exists()


@pytest.mark.parametrize(
    "outcome",
    [
        {},
        5,
        {"decision": "great"},
        {"decision": "ok", "latency_ms": -1},
        {"decision": "ok", "latency_ms": True},
        {"decision": "ok", "output_text": 5},
        {"decision": "ok", "guardrail_signals": [5]},
        {"decision": "ok", "guardrail_signals": [{}] * 101},
        {"decision": "ok", "more": 1},
        {"decision": "ok", "dry_run": "yes"},
    ],
)
def test_a_report_that_can_not_be_read_is_refused_and_is_no_step(caller, outcome):
    opened(caller, reported=True)
    answer = caller.post("/sessions/demo_session/steps", {"role": "user", "outcome": outcome})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert Session.objects.get().steps_begun == 0


def test_sums_have_room_for_the_dearest_steps_that_a_session_may_have(caller, world):
    """The effect of a call stands in the record whatever its agent says that its tokens were."""
    opened(caller, policy={"max_steps": 10_000})
    dearest = search(caller, tokens_in=399_000_000_000)["cost_est"]
    assert 990_000 < dearest < 1_000_000
    Session.objects.update(total_steps=9_998, steps_begun=9_998, total_cost_est=int(dearest) * 9_998)
    args = {"customer_id": world.acme.pk, "title": "Printer"}
    step = stepped(caller, tool="create_ticket", args=args, tokens_in=399_000_000_000)
    assert (step["decision"], step["reason"], Ticket.objects.count()) == ("ok", "allowed", 1)
    assert caller.get("/sessions/demo_session").json()["total_cost_est"] > 9_998 * int(dearest)


def proposed_in(caller, session="demo_session"):
    """What the commit of a proposal made in this session needs."""
    outputs = ["send hello to support"] * 2
    args = {**HELLO, "prompt": "say hello", "candidate_outputs": outputs}
    if session is None:
        answer = caller.call("send_message_propose", args).json()
    else:
        answer = stepped(caller, tool="send_message_propose", args=args, session=session)["output"]
    return HELLO | {name: answer[name] for name in ("proposal_id", "commit_token")}


HELLO = {"channel": "support", "message": "hello"}


def test_a_session_commits_what_was_proposed_in_it_only(world):
    caller = world.caller(world.two_phase("send_message"))
    opened(caller)
    opened(caller, session_id="other")
    for elsewhere in (proposed_in(caller, "other"), proposed_in(caller, None)):
        step = stepped(caller, tool="send_message_commit", args=elsewhere)
        assert (step["decision"], step["reason"]) == ("denied_state", "unknown_proposal")
    assert Message.objects.count() == 0
    assert stepped(caller, tool="send_message_commit", args=proposed_in(caller))["decision"] == "ok"
    assert Message.objects.count() == 1


def test_a_session_that_runs_dry_commits_nothing(world):
    caller = world.caller(world.two_phase("send_message"))
    opened(caller, policy={"dry_run": True})
    step = stepped(caller, tool="send_message_commit", args=proposed_in(caller, None))
    assert (step["decision"], step["dry_run"]) == ("dry_run", True)
    assert step["output_text"] == "[DRY RUN] Would call send_message_commit"
    assert Message.objects.count() == 0


def test_what_waits_does_not_run_once_an_operator_stopped_its_session(world):
    from django.utils import timezone

    from approvals.actions import decide
    from approvals.models import PendingAction
    from observatory.approved import run_ready
    from telemetry.recorder import SYSTEM
    from telemetry.sessions import stop_session

    caller = world.caller(world.two_phase("send_message"))
    opened(caller)
    commit = proposed_in(caller)
    held = stepped(caller, tool="update_customer_status", args={"customer_id": world.acme.pk, "new_status": "paused"})[
        "pending_action_id"
    ]
    assert stop_session(Session.objects.get(), SYSTEM, "it went wrong")
    decide(held, world.bob, approve=True, reason="", via="admin", now=timezone.now())
    run_ready()
    path = f"/proposals/{commit['proposal_id']}/commit"
    answer = caller.post(path, {"commit_token": commit["commit_token"], "args": HELLO})
    assert (answer.status_code, answer.json()["code"]) == (409, "session_closed")
    assert (Message.objects.count(), Customer.objects.get(pk=world.acme.pk).status) == (0, "active")
    assert [(a.status, a.reason) for a in PendingAction.objects.all()] == [("failed", "session_closed")] * 2


def test_a_replayed_step_says_so(caller, world):
    opened(caller)
    body = {
        "role": "assistant",
        "tool_name": "create_ticket",
        "tool_args": {"customer_id": world.acme.pk, "title": "Printer"},
    }
    first, again = (caller.post("/sessions/demo_session/steps", body, Idempotency_Key="k").json() for _ in range(2))
    assert [step["output"]["idempotent_replay"] for step in (first, again)] == [False, True]
    assert (again["decision"], Ticket.objects.count()) == ("replayed", 1)
