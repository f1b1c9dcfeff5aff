"""A million spans of a week, loaded by COPY: a few busy tools and agents, many idle ones, denials, traces of five."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Iterator
from typing import Any

from django.db import connection

from telemetry.models import Span
from telemetry.partitions import ensure_partitions

DAYS = 7
TOOLS = [f"tool_{n}" for n in range(40)]
MODELS = [f"model-{n}" for n in range(8)]
AGENTS = [f"agent-{n}" for n in range(25)]
SERVICES = [f"service-{n}" for n in range(5)]
DECISIONS = ["ok"] * 85 + ["denied_policy"] * 5 + ["denied_schema"] * 2 + ["held"] * 3 + ["error"] * 4 + ["dry_run"]
STAGES = '{"authenticate": 210, "policy_guard": 340, "execute": 5200}'


# Each agent has a few tools that it uses, one service and two models.
OF_AGENT = {agent: [TOOLS[(7 * n + 3 * m) % len(TOOLS)] for m in range(6)] for n, agent in enumerate(AGENTS)}
SERVICE_OF = {agent: SERVICES[n % len(SERVICES)] for n, agent in enumerate(AGENTS)}
MODELS_OF = {agent: [MODELS[n % len(MODELS)], MODELS[(n + 3) % len(MODELS)]] for n, agent in enumerate(AGENTS)}


def _few(chance: random.Random, names: list[str]) -> str:
    """A name; the first ones come often, the last ones seldom."""
    return names[min(int(chance.expovariate(4 / len(names))), len(names) - 1)]


def _span(began: dt.datetime, trace: str, chance: random.Random) -> dict[str, Any]:
    """Three of ten are model calls that the SDK reported, the others came in by the pipeline."""
    reported, agent = chance.random() < 0.3, _few(chance, AGENTS)
    decision = "ok" if reported else chance.choice(DECISIONS)
    span_id = f"{chance.getrandbits(64):016x}"
    row: dict[str, Any] = {
        "id": uuid.UUID(int=chance.getrandbits(128), version=4),
        "trace_id": trace,
        "span_id": span_id,
        "parent_span_id": "",
        "start_time": began,
        "end_time": began + dt.timedelta(milliseconds=chance.lognormvariate(3.5, 1.2)),
        "retries": int(chance.random() < 0.05),
        "fallback_used": chance.random() < 0.02,
        "decision": decision,
        "reason": "rule_denied" if decision == "denied_policy" else decision,
        "stage": "policy_guard",
        "policy": "allowlist",
        "rule": "rule 1",
        "agent": agent,
        "agent_key": f"key{chance.randrange(30):05d}",
        "access_subject": "",
        "session_id": "",
        "stages_us": STAGES,
    }
    return row | (_reported(agent, chance) if reported else _own(agent, chance))


def _reported(agent: str, chance: random.Random) -> dict[str, Any]:
    return {
        "kind": "model_call",
        "origin": "sdk",
        "service": SERVICE_OF[agent],
        "door": "",
        "model": chance.choice(MODELS_OF[agent]),
        "tool_name": "",
        "prompt_tokens": chance.randrange(2000),
        "completion_tokens": chance.randrange(500),
        "token_source": "reported",
        "cost_usd": chance.random() / 50,
        "confidence": chance.random(),
    }


def _own(agent: str, chance: random.Random) -> dict[str, Any]:
    nothing = {"prompt_tokens": None, "completion_tokens": None, "token_source": "", "cost_usd": None}
    named = {"kind": "tool_call", "origin": "pipeline", "service": "observatory", "door": "rest", "model": ""}
    return named | {"tool_name": _few(chance, OF_AGENT[agent]), **nothing, "confidence": None}


def _rows(count: int, ends: dt.datetime) -> Iterator[dict[str, Any]]:
    chance, step, trace = random.Random(20_261_122), dt.timedelta(days=DAYS) / count, ""
    for number in range(count):
        if number % 5 == 0:
            trace = uuid.UUID(int=chance.getrandbits(128), version=4).hex
        yield _span(ends - (number + 1) * step, trace, chance)


def load(count: int, ends: dt.datetime) -> None:
    """`count` spans that began evenly over the DAYS before `ends`, always the same but for when."""
    ensure_partitions(Span, (ends - dt.timedelta(days=DAYS)).date(), DAYS + 1)
    names = list(_reported(AGENTS[0], random.Random(0)) | _span(ends, "", random.Random(0)))
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {Span._meta.db_table} ({', '.join(names)}) FROM STDIN") as copy:
            for row in _rows(count, ends):
                copy.write_row([row[name] for name in names])
        cursor.execute(f"ANALYZE {Span._meta.db_table}")
