"""One session on one page, as a story: what it was allowed, each step with what was decided and why, what it cost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from django.db.models import Count, Q
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from telemetry.admin.acts import shown
from telemetry.admin.audit import trace_address
from telemetry.admin.decision_words import Revision, revision_pages, title_of
from telemetry.admin.spans import DECISIONS, LABELS
from telemetry.models import Session, Step
from telemetry.session_waterfall import bars
from telemetry.session_words import STAGES, asked, configuration, guardrails, preflight, signals, who
from telemetry.visible import visible
from telemetry.wording import seen, span_words

STEPS_A_PAGE = 200
MOST_BARS = 500
_WORDS = dict(DECISIONS) | {"proposed": "Proposed"}
_TAGS = {"success": "tag-good", "warning": "tag-careful", "danger": "tag-bad", "info": "tag-note"}
_TONES = {"success": "good", "warning": "wait", "danger": "bad", "info": "wait"}
STATUS_TAGS = {
    Session.Status.OPEN: "tag-note",
    Session.Status.CLOSED: "tag-good",
    Session.Status.EXPIRED: "",
    Session.Status.STOPPED: "tag-bad",
    Session.Status.REFUSED: "tag-bad",
}
_STAGES = {stage: place for place, stage in enumerate(STAGES)}
_BARS_NEED = (
    "number",
    "role",
    "channel",
    "selected_tool",
    "decision",
    "dry_run",
    "latency_us",
    "began_at",
    "ended_at",
)


def story(session: Session, user: Any, page: int, now: dt.datetime) -> dict[str, Any]:
    """Everything that the page shows of the session. `page` counts from 1; one that is not there is the nearest."""
    pages = max(-(-session.steps_begun // STEPS_A_PAGE), 1)
    page = min(max(page, 1), pages)
    sees_steps = user.has_perm("telemetry.view_step")
    counted = list(
        session.steps.order_by()
        .values("decision")
        .annotate(steps=Count("pk"), unpriced=Count("pk", filter=Q(cost_est=None, ended_at__isnull=False)))
        .order_by("-steps", "decision")
    )
    return {
        "session": session,
        "model": seen(session.model, 120),
        "agent": seen(session.agent, 80),
        "agent_page": page_of(user, "tools.view_agent", "tools_agent_change", session.agent_id),
        "status_tag": STATUS_TAGS[Session.Status(session.status)],
        "lasted": span_words((session.ended_at or session.last_used_at) - session.created_at),
        "configuration": configuration(session),
        "guardrails": guardrails(session.guardrails),
        "preflight": _preflight(session),
        "tools": _tools(session.tools_discovered),
        "figures": _figures(session, sum(row["unpriced"] for row in counted)),
        "decisions": [_decided(row["decision"]) | {"steps": row["steps"]} for row in counted],
        "page": page,
        "pages": pages,
        "steps": _steps(session, user, page) if sees_steps else [],
        "sees_steps": sees_steps,
        "waterfall": _waterfall(session, now) if sees_steps else {},
    }


def page_of(user: Any, permission: str, name: str, *args: Any) -> str:
    """The address of a page in admin for those who may open it; nothing where there is no such page."""
    if not user.has_perm(permission):
        return ""
    try:
        return reverse(f"admin:{name}", args=args)
    except NoReverseMatch:
        return ""


def _preflight(session: Session) -> dict[str, Any]:
    result = session.preflight_result
    found = preflight(result)
    return found | {"groups": _grouped(found["found"]), "asked": asked(result)}


def _grouped(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Signals by what was read: the violated ones each, the quiet ones together where they say the same."""
    ordered = sorted(rows, key=lambda row: _STAGES.get(row["stage"], len(_STAGES)))
    groups = []
    for where, found in groupby(ordered, key=lambda row: row["where"]):
        loud, quiet = [], dict[tuple[str, str, str], list[str]]()
        for row in found:
            if row["violated"]:
                loud.append(row)
            else:
                quiet.setdefault((row["words"], row["reused"], row["note"]), []).append(row["provider"])
        told = [
            {"names": ", ".join(dict.fromkeys(names)), "words": words, "reused": reused, "note": note}
            for (words, reused, note), names in quiet.items()
        ]
        groups.append({"where": where, "loud": loud, "quiet": told})
    return groups


def _tools(discovered: Any) -> list[dict[str, str]]:
    rows = discovered if isinstance(discovered, list) else []
    found = [row if isinstance(row, Mapping) else {"name": row} for row in rows]
    return [
        {
            "name": seen(str(row.get("name") or "?"), 120),
            "version": seen(str(row.get("version") or ""), 20),
            "digest": seen(str(row.get("digest") or ""), 12),
        }
        for row in found
    ]


def _figures(session: Session, unpriced: int) -> list[dict[str, Any]]:
    cost = f"{session.total_cost_est.normalize():f}" if session.total_cost_est else "0"
    return [
        {"text": f"{session.steps_begun} of {session.max_steps}", "title": "steps"},
        {"text": session.total_violations, "title": "violations", "danger": session.total_violations > 0},
        {"text": session.steps_refused, "title": "beyond the limit", "danger": session.steps_refused > 0},
        {"text": f"{session.total_latency_ms:,.0f} ms", "title": "in steps"},
        {"text": f"{session.total_tokens_in:,}", "title": "tokens in"},
        {"text": f"{session.total_tokens_out:,}", "title": "tokens out"},
        {"text": cost, "title": f"USD, {unpriced} steps without a known price" if unpriced else "USD"},
    ]


def _decided(decision: str, *, is_call: bool = True) -> dict[str, str]:
    """A decision as a word with its tone."""
    if not decision:
        return {"word": "Not ended", "tag": "tag-careful", "tone": "wait"}
    label = LABELS.get(decision, "warning")
    word = "Passed" if decision == "ok" and not is_call else _WORDS.get(decision, seen(decision, 24))
    return {"word": word, "tag": _TAGS[label], "tone": _TONES[label]}


def _steps(session: Session, user: Any, page: int) -> list[dict[str, Any]]:
    last = page * STEPS_A_PAGE
    rows = list(session.steps.filter(number__gt=last - STEPS_A_PAGE, number__lte=last).order_by("number"))
    wanted = {(row.policy, row.policy_revision) for row in rows if row.policy and row.policy_revision is not None}
    pages = revision_pages(wanted) if user.has_perm("tools.view_policy") else {}
    return [_step(row, user, pages) for row in rows]


def _step(step: Step, user: Any, revisions: Mapping[Revision, str]) -> dict[str, Any]:
    found = signals(step.guardrail_signals)
    revision = (step.policy, step.policy_revision) if step.policy_revision is not None else None
    return _decided(step.decision, is_call=bool(step.selected_tool)) | {
        "step": step,
        "who": who(step),
        "input": visible(step.input_text, block=True),
        "arguments": shown(step.tool_args) if step.tool_args is not None else "",
        "output": visible(step.output_text, block=True),
        "error": visible(step.error, block=True),
        "reason": title_of(step.reason) if step.reason and step.decision not in ("ok", "dry_run") else "",
        "error_label": "Because" if step.decision.startswith("denied") or step.decision == "held" else "Error",
        "rule": visible(step.rule),
        "policy": visible(step.policy),
        "revision_page": revisions.get(revision, "") if revision else "",
        "signals": _grouped(found),
        "is_loud": step.violations > 0,
        "reused": [seen(name, 16) for name in step.reused_fingerprints],
        "masked": ", ".join(seen(str(path), 80) for path in step.masked_paths[:20]) if step.masked_paths else "",
        "cost": "" if step.cost_est is None else f"{step.cost_est.normalize():f}",
        "trace": trace_address(step.trace_id) if step.trace_id and user.has_perm("telemetry.view_span") else "",
        "pending": page_of(
            user, "approvals.view_pendingaction", "approvals_pendingaction_change", step.pending_action_id
        )
        if step.pending_action_id
        else "",
    }


def _waterfall(session: Session, now: dt.datetime) -> dict[str, Any]:
    rows = list(session.steps.order_by("number").only("session_id", *_BARS_NEED)[:MOST_BARS])
    drawn, seconds = bars(rows, now)
    return {
        "bars": [
            {
                "bar": bar,
                "number": bar.step.number,
                "name": seen(bar.step.selected_tool or bar.step.get_role_display(), 40),
                "page": (bar.step.number - 1) // STEPS_A_PAGE + 1,
                "took": f"{bar.step.latency_ms:,.1f} ms" if bar.step.ended_at else "not ended",
            }
            | _decided(bar.step.decision, is_call=bool(bar.step.selected_tool))
            for bar in drawn
        ],
        "wide": _duration(seconds),
        "left_out": max(session.steps_begun - len(rows), 0),
    }


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms" if seconds < 10 else span_words(dt.timedelta(seconds=seconds))


def labels_shown(labels: list[str]) -> SafeString | str:
    return format_html_join(" ", '<span class="tag tag-note">{}</span>', ((seen(label, 40),) for label in labels))
