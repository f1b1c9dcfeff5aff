"""The JSON report: its structure is a contract, and it tells what the rows hold."""

import json

import pytest

from telemetry.reports.selection import Selection
from tests.telemetry.reports.rows import MINUTE, MOMENT, SIGNAL, as_json, session, step, written

pytestmark = pytest.mark.django_db
SESSION = {
    *("session_id", "agent", "agent_key", "model", "provider", "status", "reported", "rules_hash", "policy"),
    *("guardrails", "upstream", "labels", "started_at", "last_used_at", "ended_at", "ended_by", "steps"),
    *("steps_begun", "steps_refused", "total_steps", "total_latency_ms", "total_cost_est", "total_tokens_in"),
    *("total_tokens_out", "total_violations", "tools_called", "preflight_result", "session_violations"),
}
# The seed's names; a step has more.
STEP = {
    *("step_id", "role", "channel", "input_text", "selected_tool", "tool_args", "output_text", "error", "decision"),
    *("latency_ms", "tokens_in", "tokens_out", "cost_est", "guardrail_signals", "reused_fingerprints"),
}


def test_the_structure_of_a_report_stays():
    step(session(), 1, guardrail_signals=[SIGNAL])
    whole = json.loads(written("json"))
    assert set(whole) == {"report", "mcp_details"}
    assert whole["report"] == {
        "made_at": MOMENT.isoformat(),
        "made_by": "dora",
        "filters": {},
        "own_agent_only": False,
    }
    found = whole["mcp_details"]
    assert set(found) == {"sessions", "summary"}
    assert set(found["summary"]) == {"total_sessions", "total_steps", "unfinished_steps", "tools_used", "decisions"}
    (one,) = found["sessions"]
    assert set(one) == SESSION
    assert set(one["steps"][0]) > STEP


def test_it_tells_what_the_rows_hold():
    first = session("first", total_steps=2, steps_begun=2, total_latency_us=380_000, total_tokens_in=20)
    second = session("second", agent="other", agent_id=2, created_at=MOMENT + MINUTE)
    rows = [
        step(first, 1, guardrail_signals=[SIGNAL], reused_fingerprints=["ab" * 8], violations=1),
        step(first, 2, selected_tool="calculate", decision="denied_policy", reason="denied_policy", cost_est=None),
        step(second, 1, selected_tool="", role="user", channel="user_to_llm", tool_args=None),
        step(second, 2, selected_tool="no_such_tool", decision="denied_policy", reason="unknown_tool"),
        step(second, 3, decision="", ended_at=None),
    ]
    found = as_json()
    assert found["summary"] == {
        "total_sessions": 2,
        "total_steps": 5,
        "unfinished_steps": 1,
        "tools_used": ["calculate", "search_customer"],
        "decisions": {"denied_policy": 2, "ok": 2},
    }
    assert [one["session_id"] for one in found["sessions"]] == ["first", "second"]
    told = [each for one in found["sessions"] for each in one["steps"]]
    assert told == [json.loads(json.dumps(row.as_json())) for row in rows]
    assert (found["sessions"][0]["total_latency_ms"], found["sessions"][0]["total_tokens_in"]) == (380.0, 20)
    assert found["sessions"][0]["policy"]["max_steps"] == 10_000
    assert found["sessions"][0]["guardrails"]["thresholds"] == {"secrets": 0.5, "pii": 0.0}


def test_what_a_preflight_found_are_the_sessions_violations():
    found = {"passed": False, "violations": [SIGNAL | {"tool": "search_customer"}]}
    session(status="refused", ended_at=MOMENT, ended_by="preflight", preflight_result=found)
    (one,) = as_json()["sessions"]
    assert (one["status"], one["steps"], one["session_violations"]) == ("refused", [], found["violations"])


def test_nothing_to_tell_is_told():
    assert as_json(session="none") == {
        "summary": {"total_sessions": 0, "total_steps": 0, "unfinished_steps": 0, "tools_used": [], "decisions": {}},
        "sessions": [],
    }


def test_secrets_and_addresses_are_masked_wherever_they_stand():
    secret = "ghp_Zq7Canary9abcDEF0123456789xyzABC"
    words = f"use {secret} or jane.canary@example.com or +1 212 555 2368 or 536-22-8726"
    signal = SIGNAL | {"reason": words, "provider": words}
    one = session(
        agent="jane.canary@example.com",
        model=words,
        provider=secret,
        upstream=secret,
        ended_by="jane.canary@example.com",
    )
    one.preflight_result = {"passed": True, "violations": [signal]}
    one.tools_called, one.policy, one.labels = [secret], {"allowlist": [words]}, [secret]
    one.save()
    step(
        one,
        input_text=words,
        output_text=words,
        error=words,
        selected_tool=secret,
        tool_args={"note": words, words: 1, "nested": [{"password": "Zq7Canary"}]},
        rule=words,
        policy="jane.canary@example.com",
        guardrail_signals=[signal],
        masked_paths=[f"/tool_args/{words}"],
    )
    step(one, 2, input_text="\u2028 \u202e \x1b {} 雪 \U0001f600")
    for format_ in ("json", "xlsx"):
        raw = written(format_, Selection())
        if format_ == "json":
            assert raw.isascii()
            text = raw.decode()
        else:
            text = _all_text(raw)
        for word in (secret, "Zq7Canary", "jane.canary", "555 2368", "22-8726"):
            assert word not in text, (format_, word)
        assert "[masked" in text


def _all_text(raw: bytes) -> str:
    import io
    import zipfile

    archive = zipfile.ZipFile(io.BytesIO(raw))
    return "\n".join(archive.read(name).decode() for name in archive.namelist())
