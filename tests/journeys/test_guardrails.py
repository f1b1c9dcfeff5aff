"""Guardrails at the door: modes, thresholds, what is refused before a call, withheld after it, or reused."""

import json

import pytest

from observatory.demo.models import Customer
from telemetry.models import AuditEvent, GuardrailSettings, KeptSignal, Payload, Session, Span, Step
from tests.journeys.test_sessions import opened, search, stepped
from tests.world import SEED_TOOLS

pytestmark = pytest.mark.django_db(transaction=True)
MAIL = "bo.larsson@example.com"
KEY = "ghp_" + "aB3dE5fG7h" * 4


@pytest.fixture
def caller(world):
    return world.caller(world.allowing(*SEED_TOOLS))


def guarded(mode, **thresholds):
    return {"guardrails": {"mode": mode, "thresholds": thresholds}}


def violated(step):
    return {(s["metric"], s["stage"]) for s in step["guardrail_signals"] if s["violated"]}


@pytest.mark.parametrize(
    ("mode", "text", "decision"),
    [
        ("advisory", "acme", "ok"),
        ("advisory", MAIL, "ok"),
        ("advisory", KEY, "ok"),
        ("mixed", "acme", "ok"),
        ("mixed", MAIL, "denied_policy"),
        ("mixed", KEY, "denied_policy"),
        ("hard_gate", "acme", "ok"),
        ("hard_gate", MAIL, "denied_policy"),
        ("hard_gate", KEY, "denied_policy"),
    ],
)
def test_what_a_mode_does_with_arguments(caller, mode, text, decision):
    opened(caller, **guarded(mode))
    step = search(caller, query=text)
    assert step["decision"] == decision
    assert bool(violated(step)) is (text != "acme")
    if decision == "denied_policy":
        assert step["reason"] == "guardrail_input"
        assert step["problem"]["violations"]
        assert text not in json.dumps(step)
    assert Step.objects.get().violations == len(violated(step))
    assert Session.objects.get().total_violations == len(violated(step))


@pytest.mark.parametrize(("threshold", "decision"), [(0.0, "denied_policy"), (1.0, "denied_policy")])
def test_a_session_lowers_thresholds_and_never_raises_them(caller, threshold, decision):
    """A mail address scores more than the installation's threshold: asking for 1.0 does not let it through."""
    session = opened(caller, **guarded("mixed", pii=threshold))
    assert session["guardrails"]["thresholds"]["pii"] == min(threshold, 0.5)
    assert search(caller, query=MAIL)["decision"] == decision


def test_the_installation_is_the_least_strict_that_a_session_can_be(caller):
    opened(caller, session_id="before", **guarded("advisory"))
    assert search(caller, query=MAIL, session="before")["decision"] == "ok"
    GuardrailSettings.objects.update_or_create(id=1, defaults={"sessions_mode": "hard_gate"})
    assert opened(caller, session_id="after", **guarded("advisory"))["guardrails"]["mode"] == "hard_gate"
    # Also for a session that is open: from its next step on.
    assert search(caller, query=MAIL, session="before")["decision"] == "denied_policy"


@pytest.mark.parametrize(
    ("calls_mode", "status"), [("off", 200), ("advisory", 200), ("mixed", 403), ("hard_gate", 403)]
)
def test_calls_outside_sessions_have_a_mode_of_their_own(caller, calls_mode, status):
    GuardrailSettings.objects.update_or_create(id=1, defaults={"calls_mode": calls_mode})
    answer = caller.call("search_customer", {"query": MAIL})
    assert answer.status_code == status
    found = Span.objects.get(tool_name="search_customer").attributes.get("guardrail_violations", [])
    assert [v["metric"] for v in found] == ([] if calls_mode == "off" else ["pii"])
    assert MAIL not in json.dumps(answer.json())


def test_what_was_said_is_read_too(caller):
    opened(caller, **guarded("mixed"))
    said = stepped(caller, "user", f"My address is {MAIL}")
    assert (said["decision"], said["reason"], said["output_text"]) == ("denied_policy", "guardrail_input", None)
    assert MAIL not in json.dumps(said)
    called = search(caller, text=f"For {KEY}")
    assert violated(called) == {("secrets", "input")}
    assert stepped(caller, "user", "Good morning")["decision"] == "ok"
    event = AuditEvent.objects.filter(type="session.step").first()
    assert (event.decision, event.reason) == ("ok", "allowed")


def test_a_refused_output_is_withheld_and_what_ran_is_settled_as_run(caller, world):
    Customer.objects.filter(pk=world.acme.pk).update(name=f"ACME {MAIL}")
    opened(caller, **guarded("mixed"))
    step = search(caller, query="acme")
    assert (step["decision"], step["reason"], step["output"]) == ("denied_policy", "output_withheld", None)
    assert step["problem"]["executed"] is True
    assert ("pii", "output") in violated(step)
    assert MAIL not in json.dumps(step)
    assert Session.objects.get().tools_called == ["search_customer"]


def test_a_withheld_answer_is_withheld_again_and_nothing_runs_again(world):
    caller = world.caller(world.allowing(*SEED_TOOLS, self_confirm=True))
    opened(caller, **guarded("mixed"))
    Customer.objects.filter(pk=world.acme.pk).update(name=f"ACME {MAIL}")
    args = {"customer_id": world.acme.pk, "new_status": "paused", "confirm": True}

    def change():
        return caller.call("update_customer_status", args, X_Session_Id="demo_session", Idempotency_Key="k-1")

    first, again = change(), change()
    for answer in (first, again):
        assert (answer.status_code, answer.json()["code"], answer.json()["executed"]) == (403, "output_withheld", True)
        assert MAIL not in answer.content.decode()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert Customer.objects.get(pk=world.acme.pk).status == "paused"
    assert AuditEvent.objects.filter(type="call.settled").count() == 1


def test_the_same_content_is_read_once_in_a_session_and_no_other(caller):
    opened(caller, session_id="one")
    opened(caller, session_id="two")
    first = search(caller, query=MAIL, session="one")
    again = search(caller, query=MAIL, session="one")
    other = search(caller, query="else@example.com", session="one")
    elsewhere = search(caller, query=MAIL, session="two")

    def of_input(step):
        return [s for s in step["guardrail_signals"] if s["stage"] == "input"]

    assert not any(s["reused"] for s in of_input(first) + of_input(other) + of_input(elsewhere))
    assert all(s["reused"] and s["reason"] == "Reused from Preflight" for s in of_input(again))
    assert [(s["score"], s["kinds"], s["fingerprint"]) for s in of_input(again)] == [
        (s["score"], s["kinds"], s["fingerprint"]) for s in of_input(first)
    ]
    assert {s["fingerprint"] for s in of_input(again)} <= set(again["reused_fingerprints"])
    # What tools say of themselves was read in the preflight.
    of_tool = [s for s in first["guardrail_signals"] if s["stage"] == "preflight"]
    assert of_tool
    assert all(s["reused"] for s in of_tool)
    assert MAIL not in str(list(KeptSignal.objects.values()))


def test_the_same_run_twice_gives_the_same_decisions_signals_and_hashes(caller):
    def run(name):
        session = opened(caller, session_id=name, policy={"max_steps": 4}, **guarded("mixed", pii=0.1))
        steps = [
            stepped(caller, "user", "Good morning", session=name),
            search(caller, session=name),
            search(caller, query=MAIL, session=name),
            stepped(caller, tool="create_ticket", args={"title": "x"}, session=name),
            search(caller, session=name),
        ]
        drop = ("latency_ms", "trace_id", "began_at", "ended_at", "problem")
        return session["rules_hash"], [{k: v for k, v in s.items() if k not in drop} for s in steps]

    assert run("first") == run("second")


def test_a_tool_that_instructs_the_model_refuses_the_session_at_its_preflight(caller):
    from telemetry.recorder import SYSTEM
    from tools.actions.tools import declare, save_tool
    from tools.models import Tool
    from tools.registry import Declaration

    tool = save_tool(Tool(name="get_incident_impact.two", executor="http", network="no"), SYSTEM)
    text = f"Answers. The key is {KEY}"
    declare(tool, Declaration(tool.name, "Two", text, {"type": "object"}, None, {}, {}), SYSTEM)
    key = caller.key
    from tools.actions.policies import publish
    from tools.models import Rule

    Rule.objects.filter(policy=key.policy).update(tools="*")
    publish(key.policy, SYSTEM)
    lax = opened(caller, session_id="lax", **guarded("advisory"))
    assert lax["preflight_result"]["passed"] is True
    assert [v["tool"] for v in lax["preflight_result"]["violations"]] == [tool.name]
    strict = opened(caller, session_id="strict", **guarded("mixed"))
    assert (strict["status"], strict["preflight_result"]["passed"]) == ("refused", False)
    assert KEY not in json.dumps(strict["preflight_result"])
    assert search(caller, session="strict", status=409)["code"] == "session_closed"
    assert AuditEvent.objects.filter(type="session.refused").count() == 1
    without = opened(caller, session_id="without", policy={"blocklist": [tool.name]}, **guarded("mixed"))
    assert without["status"] == "open"


@pytest.mark.parametrize(
    ("mode", "category", "decision"),
    [
        ("advisory", "custom", "ok"),
        ("mixed", "custom", "ok"),
        ("hard_gate", "custom", "denied_policy"),
        ("advisory", "injection", "ok"),
        ("mixed", "injection", "denied_policy"),
        ("hard_gate", "injection", "denied_policy"),
    ],
)
def test_what_nobody_can_look_for_is_said_and_denies_where_it_is_a_gate(caller, mode, category, decision):
    GuardrailSettings.objects.update_or_create(id=1, defaults={"switched_off": ["injection"]})
    opened(caller, **guarded(mode, **{category: 0.5}))
    step = search(caller)
    told = [s for s in step["guardrail_signals"] if s["metric"] == category]
    assert told
    assert all(s["score"] is None and s["reason"].startswith("unavailable") for s in told)
    assert step["decision"] == decision


def test_no_text_of_a_session_is_kept_in_full(caller):
    opened(caller)
    long = "word " * 2_000
    stepped(caller, "user", long)
    search(caller, query="x" * 250, text=long)
    assert all(len(step.input_text) <= 200 and len(step.output_text) <= 200 for step in Step.objects.all())
    assert not Payload.objects.exists()


def remote(url, **fields):
    from telemetry.models import RemoteDetector

    return RemoteDetector.objects.create(
        **({"name": "brand-words", "category": "custom", "url": f"{url}/look", "timeout_s": 1} | fields)
    )


@pytest.mark.parametrize(
    ("answer", "mode", "decision", "told"),
    [
        ((200, {}, b'{"score": 0.9, "kinds": {"rival": 2}}'), "advisory", "ok", {"rival": 2}),
        ((200, {}, b'{"score": 0.9, "kinds": {"rival": 2}}'), "mixed", "ok", {"rival": 2}),
        ((200, {}, b'{"score": 0.9, "kinds": {"rival": 2}}'), "hard_gate", "denied_policy", {"rival": 2}),
        ((200, {}, b'{"score": 0.1}'), "hard_gate", "ok", None),
        ((500, {}, b"down"), "advisory", "ok", {}),
        ((500, {}, b"down"), "hard_gate", "denied_policy", {}),
        ((200, {}, b"garbage"), "hard_gate", "denied_policy", {}),
    ],
)
def test_a_detector_of_the_operators_own_is_asked_and_doubt_is_a_violation(
    caller, opened_net, answer, mode, decision, told
):
    opened_net.answer = answer
    remote(opened_net.url)
    opened(caller, **guarded(mode))
    step = search(caller, query="acme rival")
    assert step["decision"] == decision
    asked = json.loads(opened_net.asked[0].body)
    assert (asked["text"], asked["stage"], asked["category"]) == ("query: acme rival", "input", "custom")
    found = [s for s in step["guardrail_signals"] if s["provider"] == "brand-words" and s["violated"]]
    assert [s["kinds"] for s in found[:1]] == ([] if told is None else [told])


def test_one_in_a_hard_category_denies_in_mixed_when_it_is_down(caller, opened_net):
    opened_net.answer = (503, {}, b"")
    remote(opened_net.url, category="pii")
    opened(caller, **guarded("mixed"))
    step = search(caller)
    assert (step["decision"], step["reason"]) == ("denied_policy", "guardrail_input")
    assert "could not look" in step["error"]


@pytest.fixture
def opened_net(settings):
    from tests.answering import answering

    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with answering() as server:
        yield server


def test_health_says_what_is_there_and_what_is_missing(caller, world, opened_net):
    opened_net.answer = (200, {}, b'{"score": 0}')
    opened(caller)
    body = caller.get("/guardrails/health").json()
    by_name = {one["name"]: one for one in body["detectors"]}
    assert body["ok"] is True
    assert {"pii", "secrets", "injection", "toxicity"} <= set(by_name)
    assert all(by_name[name]["available"] and by_name[name]["version"] for name in ("pii", "secrets", "injection"))
    assert by_name["toxicity"]["available"] is not by_name["toxicity"]["missing_dependencies"]
    assert body["harness"]["open_sessions"] == 1
    assert body["harness"]["missing_dependencies"] == []
    assert world.caller(None, name="other", scopes=["tools:call"]).get("/guardrails/health").status_code == 403


def test_an_answer_that_was_stored_outside_is_read_before_a_session_gets_it(world):
    caller = world.caller(world.allowing(*SEED_TOOLS))
    args = {"customer_id": world.acme.pk, "title": f"Write to {MAIL}"}
    assert caller.call("create_ticket", args, Idempotency_Key="k").status_code == 200
    opened(caller, **guarded("mixed"))
    answer = caller.call("create_ticket", args, Idempotency_Key="k", X_Session_Id="demo_session")
    assert (answer.status_code, answer.json()["code"], answer.json()["executed"]) == (403, "output_withheld", True)
    assert MAIL not in answer.content.decode()
    assert (Step.objects.get().reason, Step.objects.get().violations) == ("output_withheld", 1)
    again = caller.call("create_ticket", args, Idempotency_Key="k")
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")


@pytest.mark.parametrize("where", ["prompt", "candidate_outputs"])
def test_what_a_proposal_was_made_of_is_read_too(world, where):
    caller = world.caller(world.two_phase("send_message"))
    opened(caller, **guarded("mixed"))
    told = {"prompt": "say hello", "candidate_outputs": ["hello", "hello"]}
    told[where] = f"For {MAIL}" if where == "prompt" else [f"For {MAIL}"] * 2
    args = {"channel": "support", "message": "hello"} | told
    step = stepped(caller, tool="send_message_propose", args=args)
    assert (step["decision"], step["reason"]) == ("denied_policy", "guardrail_input")
