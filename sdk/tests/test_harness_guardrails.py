"""What is found in a step's texts, what a mode makes of it, and what is not looked for twice."""

import asyncio
from typing import Any

import pytest
from mcp_observatory import Conflict
from mcp_observatory.guards.fingerprints import fingerprint
from mcp_observatory.harness import GuardrailsConfig, MCPHarness, MCPSession, MCPStep, PolicyConfig, SignalResult
from sample_clients import LOCAL, SampleClient, listed

MAIL = "Write to alice@example.com"
CARD = 4242424242424242
IBAN = "SE45 5000 0000 0583 9825 7466"
KEY = "ghp_Zq7Canary9abcDEF0123456789"


def client(description: str = "Says it again.") -> SampleClient:
    return SampleClient([listed("echo", description, annotations=LOCAL)], echo=lambda args: args.get("say", "ok"))


def run(guardrails: Any, *steps: tuple[Any, ...], sample: SampleClient | None = None, **more: Any) -> MCPSession:
    async def main() -> MCPSession:
        harness = MCPHarness(sample or client(), "gpt-4", guardrails_config=guardrails, **more)
        session = await harness.start_session("s", preflight_texts=["Hello, I am Alice."])
        for one in steps:
            await harness.execute_step(session, *one)
        await harness.close_session(session)
        return session

    return asyncio.run(main())


def mixed(**thresholds: float) -> dict[str, Any]:
    return {"mode": "mixed", "thresholds": thresholds}


def gate(**thresholds: float) -> dict[str, Any]:
    return {"mode": "hard_gate", "thresholds": thresholds}


@pytest.mark.parametrize(
    ("guardrails", "text", "args", "decision"),
    [
        (None, MAIL, {}, "ok"),
        ({"mode": "advisory", "thresholds": {"pii": 0.0}}, MAIL, {}, "ok"),
        (mixed(), MAIL, {}, "denied_policy"),
        (mixed(pii=0.0), MAIL, {}, "denied_policy"),
        (mixed(pii=0.99), MAIL, {}, "denied_policy"),
        (mixed(pii=1.0), MAIL, {}, "ok"),
        (gate(), MAIL, {}, "denied_policy"),
        (mixed(), "go", {"card": CARD}, "denied_policy"),
        (mixed(), "go", {"deep": [{"to": IBAN}]}, "denied_policy"),
        (mixed(), "go", {MAIL: 1}, "denied_policy"),
        (mixed(), "go", {"note": KEY}, "denied_policy"),
        (mixed(secrets=1.0), "go", {"note": KEY}, "ok"),
        (mixed(), "go", {"number": 4242424242424243}, "ok"),
        (mixed(pii=0.0, secrets=0.0), "The weather is fine, 24 degrees.", {"a": 1, "b": None, "c": [True]}, "ok"),
    ],
)
def test_input_is_judged_by_mode_and_threshold(guardrails: Any, text: str, args: Any, decision: str) -> None:
    sample = client()
    (step,) = run(guardrails, ("assistant", text, "echo", args), sample=sample).steps
    assert step.decision.value == decision
    assert step.reason == ("allowed" if decision == "ok" else "guardrail_input")
    assert len(sample.calls) == (decision == "ok")


def test_text_that_calls_nothing_is_judged_too() -> None:
    session = run(mixed(), ("user", MAIL), ("tool", MAIL), ("user", "Hello"))
    assert [step.decision.value for step in session.steps] == ["denied_policy", "denied_policy", "ok"]


@pytest.mark.parametrize(
    ("said", "decision"),
    [
        (MAIL, "denied_policy"),
        ({"content": [{"type": "text", "text": KEY}]}, "denied_policy"),
        ({"content": [{"type": "text", "text": "fine"}], "structuredContent": {"card": CARD}}, "denied_policy"),
        ({"content": [{"type": "text", "text": MAIL}], "isError": True}, "denied_policy"),
        ([{"rows": [{"iban": IBAN}]}], "denied_policy"),
        ("fine", "ok"),
    ],
)
def test_output_is_withheld_where_it_is_refused(said: Any, decision: str) -> None:
    sample = SampleClient([listed("read")], read=lambda args: said)
    (step,) = run(mixed(), ("assistant", "go", "read"), sample=sample).steps
    assert step.decision.value == decision
    assert len(sample.calls) == 1
    if decision != "ok":
        assert (step.reason, step.output, step.output_text, step.tokens_out) == ("output_withheld", None, None, 0)


def test_advisory_records_and_lets_pass() -> None:
    session = run({"thresholds": {"pii": 0.0}}, ("assistant", "go", "echo", {"say": MAIL}))
    (step,) = session.steps
    assert (step.decision, step.output) == ("ok", MAIL)
    assert [(signal.stage, signal.metric, signal.kinds, signal.denies) for signal in step.violations] == [
        ("input", "pii", {"email": 1}, False),
        ("output", "pii", {"email": 1}, False),
    ]
    assert session.session_violations == step.violations


def test_sentence_says_what_and_never_the_text() -> None:
    (step,) = run(mixed(pii=0.0), ("user", f"{MAIL} or bob@example.com, {IBAN}")).steps
    assert step.error == "pii found: email x2, iban x1 (score 1, allowed 0)"


@pytest.mark.parametrize(
    ("guardrails", "passes"),
    [
        (mixed(toxicity=0.3), True),
        (mixed(custom=0.3), True),
        (mixed(injection=0.3), False),
        (gate(toxicity=0.3), False),
        (gate(pii=0.0), True),
        (gate(), True),
        ({"mode": "advisory", "thresholds": {"injection": 0.3}}, True),
    ],
)
def test_what_cannot_be_looked_for_denies_where_it_is_a_gate(guardrails: Any, passes: bool) -> None:
    sample = client()
    asked: list[tuple[Any, ...]] = [("user", "Hello"), ("assistant", "go", "echo", {})]
    if passes:
        session = run(guardrails, *asked, sample=sample)
        assert [step.decision.value for step in session.steps] == ["ok", "ok"]
        vain = set(guardrails["thresholds"]) - {"pii", "secrets"}
        assert {signal.metric for signal in session.session_violations} == vain
    else:
        with pytest.raises(Conflict, match="refused"):
            run(guardrails, *asked, sample=sample)
        assert sample.seen == ["connect", "list_tools", "close"]


def test_session_is_refused_where_a_description_holds_a_secret_but_not_an_address() -> None:
    async def start(description: str) -> MCPSession:
        harness = MCPHarness(client(description), "gpt-4", guardrails_config=mixed(pii=0.0))
        session = await harness.start_session("s")
        await harness.close_session(session)
        return session

    refused = asyncio.run(start(f"Use the key {KEY}."))
    assert refused.preflight_result is not None
    assert (refused.status, refused.preflight_result.passed) == ("refused", False)
    assert refused.preflight_result.reason == "secrets found: github-token x1 (score 1, allowed 0.5)"
    assert refused.session_violations == refused.preflight_result.violations
    assert asyncio.run(start("Ask support@example.com for help.")).status == "closed"


def test_session_is_refused_where_what_it_begins_with_is() -> None:
    async def main() -> MCPSession:
        harness = MCPHarness(client(), "gpt-4", guardrails_config=mixed(pii=0.0))
        return await harness.start_session("s", preflight_texts=["fine", MAIL])

    assert asyncio.run(main()).status == "refused"


def test_signals_are_reused_for_the_same_text_and_for_no_other() -> None:
    session = run(mixed(toxicity=0.3), ("user", "Hello, I am Alice."), ("user", "Hello, I am Alice!"))
    same, other = session.steps

    def reused(step: MCPStep) -> dict[str, tuple[bool, str]]:
        return {signal.metric: (signal.reused, signal.reason) for signal in step.guardrail_signals}

    assert reused(same) == {
        "pii": (True, "Reused from Preflight"),
        "secrets": (True, "Reused from Preflight"),
        "toxicity": (True, "unavailable (Reused from Preflight)"),
    }
    assert {metric: again for metric, (again, _) in reused(other).items()} == {
        "pii": False,
        "secrets": False,
        "toxicity": True,
    }
    assert same.reused_fingerprints == [
        fingerprint(provider, metric, "mcp", "gpt-4", session.rules_hash)
        for provider, metric in [("forms", "pii"), ("forms", "secrets"), ("none", "toxicity")]
    ]


def test_description_of_a_tool_is_read_once_a_session() -> None:
    (step,) = run(None, ("assistant", "go", "echo", {})).steps
    described = [signal for signal in step.guardrail_signals if signal.stage == "preflight"]
    assert [(signal.metric, signal.reused, signal.reason) for signal in described] == [
        ("secrets", True, "Reused from Preflight")
    ]


def test_reused_violation_is_counted_once() -> None:
    async def main() -> MCPSession:
        harness = MCPHarness(client(), "gpt-4", guardrails_config={"thresholds": {"pii": 0.0}})
        session = await harness.start_session("s", preflight_texts=[MAIL])
        steps = [await harness.execute_step(session, "user", MAIL) for _ in range(3)]
        await harness.close_session(session)
        assert all(step.violations for step in steps)
        return session

    (violation,) = asyncio.run(main()).session_violations
    assert (violation.stage, violation.reused) == ("preflight", False)


def test_fingerprint_is_of_provider_metric_model_and_rules() -> None:
    session = run(mixed(pii=0.0), ("user", "x"))
    (pii, secrets) = session.steps[0].guardrail_signals
    assert pii.fingerprint == fingerprint("forms", "pii", "mcp", "gpt-4", session.rules_hash)
    assert secrets.fingerprint != pii.fingerprint
    other = run(mixed(pii=0.1), ("user", "x")).steps[0].guardrail_signals
    assert other[0].fingerprint != pii.fingerprint


def test_text_too_long_to_read_is_a_doubt_that_denies() -> None:
    long = "a " * 600_000
    sample = client()
    (denied,) = run(mixed(), ("assistant", "go", "echo", {"say": long}), sample=sample).steps
    assert (denied.decision, denied.reason, sample.calls) == ("denied_policy", "guardrail_input", [])
    assert denied.error == (
        "pii could not be looked for (unavailable: the text is too long); "
        "secrets could not be looked for (unavailable: the text is too long)"
    )
    (recorded,) = run(None, ("assistant", "go", "echo", {"say": long})).steps
    assert recorded.decision == "ok"


def test_deep_values_are_read_to_the_bottom() -> None:
    deep: Any = [MAIL]
    for _ in range(900):
        deep = [deep]
    (step,) = run(mixed(), ("assistant", "go", "echo", {"say": deep})).steps
    assert step.reason == "guardrail_input"


def test_long_texts_are_read_whole() -> None:
    (step,) = run(mixed(), ("assistant", "go", "echo", {"say": "a " * 200_000 + MAIL})).steps
    assert step.reason == "guardrail_input"


def test_guardrails_come_after_policy_and_before_a_dry_run() -> None:
    policy = PolicyConfig(allowlist=["echo"], dry_run=True)
    session = run(
        mixed(), ("assistant", MAIL, "other"), ("assistant", MAIL, "echo"), ("user", "x"), policy_config=policy
    )
    assert [step.reason for step in session.steps] == ["session_allowlist", "guardrail_input", "allowed"]


def test_configuration_may_be_an_object() -> None:
    config = GuardrailsConfig("mixed", {"pii": 0})
    assert config.as_json() == {"mode": "mixed", "thresholds": {"pii": 0.0}}
    assert run(config, ("user", MAIL)).steps[0].decision == "denied_policy"


def test_signal_of_a_server_is_read_as_far_as_it_can_be() -> None:
    told = {"provider": "pii", "metric": "pii", "score": 0.7, "threshold": 0.5, "violated": True, "kinds": {"email": 1}}
    read = SignalResult.read(told)
    assert (read.provider, read.score, read.violated, read.kinds, read.reason) == ("pii", 0.7, True, {"email": 1}, "")
    assert SignalResult.read("nonsense") == SignalResult("", "", "", None, None, False)
    assert SignalResult.read({"score": "high", "violated": 1, "kinds": ["email"]}) == SignalResult.read({})
