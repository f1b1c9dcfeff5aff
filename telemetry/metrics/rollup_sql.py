"""The statements that sum up spans by minute and by hour. Nothing of a request is in their text."""

from __future__ import annotations

from telemetry.metrics.definitions import LOW_CONFIDENCE, PROMPT_DIFF_VIOLATION
from telemetry.metrics.histogram import GAMMA
from telemetry.models import HourRollup, MinuteRollup, Span
from telemetry.models.rollup import DIMENSIONS, SUMS, THE_REST

# So many names (service, model and tool together) of one agent's spans are kept apart in a step of time: an agent that
# makes up a new name for each span fills no table. What ran comes before what was only ever denied, so that nobody
# hides the one behind the other; then who was there first, so that a sum seldom gives up what it had.
NAMES = 200
# Each sum over spans, in the order of SUMS.
_OF_SPANS = {
    "calls": "count(*)",
    "priced_calls": "count(cost_usd)",
    "cost_usd": "coalesce(sum(cost_usd), 0)",
    "prompt_tokens": "coalesce(sum(prompt_tokens), 0)",
    "completion_tokens": "coalesce(sum(completion_tokens), 0)",
    "retries": "sum(retries)",
    "retried_calls": "count(*) FILTER (WHERE retries > 0)",
    "fallbacks": "count(*) FILTER (WHERE fallback_used)",
    "low_confidence": f"count(*) FILTER (WHERE confidence < {LOW_CONFIDENCE})",
    "confidence_gate_blocks": "count(*) FILTER (WHERE confidence_gate_blocked)",
    "prompt_diff_violations": f"count(*) FILTER (WHERE prompt_diff_score > {PROMPT_DIFF_VIOLATION})",
    "shadow_calls": "count(shadow_agreement)",
    "shadow_disagreements": "count(*) FILTER (WHERE NOT shadow_agreement)",
    "deterministic_fallbacks": "count(*) FILTER (WHERE deterministic_fallback)",
    "high_risk_paths": "count(*) FILTER (WHERE high_risk_path)",
    "golden_calls": "count(golden_passed)",
    "golden_failures": "count(*) FILTER (WHERE NOT golden_passed)",
    "duration_us": "sum(us)",
}
# The most that the columns hold: a sum beyond it stays there instead of ending all summing up.
_MOST = dict.fromkeys(SUMS, 2**63 - 1) | {"cost_usd": 10**12 - 1}

_BY_MINUTE = """
    SELECT date_trunc('minute', start_time, 'UTC') AS at, $dimensions,
        ceil(ln(greatest(us, 1) / 1000.0::float8) / ln($gamma::float8))::int AS bucket, count(*) AS spans,
        $sums, max(us) AS longest_us, min(start_time) AS first_at
    FROM (
        SELECT *, (extract(epoch FROM end_time - start_time) * 1000000)::bigint AS us
        FROM $source WHERE start_time >= %(begins)s AND start_time < %(ends)s
    ) AS timed
    GROUP BY 1, $dimensions, bucket
"""
_BY_HOUR = """
    SELECT date_trunc('hour', at, 'UTC') AS at, $dimensions, NULL::int AS bucket, 0 AS spans, $sums, longest_us,
        first_at
    FROM $source WHERE at >= %(begins)s AND at < %(ends)s
    UNION ALL
    SELECT date_trunc('hour', at, 'UTC'), $dimensions, unnest(buckets), unnest(bucket_spans), $nothing, 0, first_at
    FROM $source WHERE at >= %(begins)s AND at < %(ends)s
"""
# `name` ranks an agent's names; those past NAMES become THE_REST, which may bring rows together: they are summed again.
_ADD_UP = """
INSERT INTO $target (at, $dimensions, $names, longest_us, first_at, buckets, bucket_spans)
WITH part AS ($part),
ranked AS (
    SELECT at, origin = 'pipeline' AS own, agent, service, model, tool_name, row_number() OVER (
        PARTITION BY at, origin = 'pipeline', agent
        ORDER BY '$rest' IN (service, model, tool_name), bool_and(starts_with(decision, 'denied')), min(first_at),
            service, model, tool_name
    ) AS name
    FROM part GROUP BY 1, 2, 3, 4, 5, 6
),
bounded AS (
    SELECT part.at, part.origin, part.kind, part.agent, part.decision,
        CASE WHEN name > $most AND NOT own THEN '$rest' ELSE part.service END AS service,
        CASE WHEN name > $most AND part.model <> '' THEN '$rest' ELSE part.model END AS model,
        CASE WHEN name > $most AND part.tool_name <> '' THEN '$rest' ELSE part.tool_name END AS tool_name,
        bucket, spans, $names, longest_us, first_at
    FROM part JOIN ranked ON part.at = ranked.at AND (part.origin = 'pipeline') = own AND part.agent = ranked.agent
        AND part.service = ranked.service AND part.model = ranked.model AND part.tool_name = ranked.tool_name
),
held AS (
    SELECT at, $dimensions, bucket, sum(spans) AS spans, $summed, max(longest_us) AS longest_us,
        min(first_at) AS first_at
    FROM bounded GROUP BY at, $dimensions, bucket
)
SELECT at, $dimensions, $capped, max(longest_us), min(first_at),
    array_agg(bucket ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL),
    array_agg(spans ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL)
FROM held GROUP BY at, $dimensions
"""


def _filled(statement: str, **words: str) -> str:
    """The statement with its $words; the longest first, since one may begin another."""
    for word in sorted(words, key=len, reverse=True):
        statement = statement.replace(f"${word}", words[word])
    return statement


def _adding_up(part: str, source: str, target: str, sums: str) -> str:
    shared = {"dimensions": ", ".join(DIMENSIONS), "source": source, "sums": sums}
    nothing = ", ".join("0" for _ in SUMS)
    return _filled(
        _ADD_UP.replace("$part", _filled(part, **shared, gamma=str(GAMMA), nothing=nothing)),
        **shared,
        target=target,
        names=", ".join(SUMS),
        summed=", ".join(f"sum({name}) AS {name}" for name in SUMS),
        capped=", ".join(f"least(sum({name}), {_MOST[name]})" for name in SUMS),
        most=str(NAMES),
        rest=THE_REST,
    )


SUM_UP_MINUTES = _adding_up(
    _BY_MINUTE,
    Span._meta.db_table,
    MinuteRollup._meta.db_table,
    ", ".join(f"{_OF_SPANS[name]} AS {name}" for name in SUMS),
)
SUM_UP_HOURS = _adding_up(_BY_HOUR, MinuteRollup._meta.db_table, HourRollup._meta.db_table, ", ".join(SUMS))
