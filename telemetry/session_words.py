"""A session and its steps in the words of operators' pages. Whatever an agent sent is made visible here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from telemetry.models import Session, Step
from telemetry.models.guardrail import GuardrailSettings, Mode
from telemetry.visible import visible
from telemetry.wording import seen

CATEGORIES = {
    "pii": "personal data",
    "secrets": "secrets",
    "injection": "injection",
    "toxicity": "toxicity",
    "custom": "what your own detectors look for",
    "network": "a guess at network use",
}
_MODES = {"off": "Off: nothing is looked at"} | {mode.value: mode.label for mode in Mode}
_MOST_NAMES = 30
_MOST_KINDS = 20
STAGES = {"preflight": "The tool's description", "input": "What went in", "output": "What came out"}


def who(step: Step) -> str:
    """Who does what in a step, as a sentence begins."""
    tool = visible(step.selected_tool)
    if step.role == Step.Role.USER:
        return "The user said"
    if step.role == Step.Role.TOOL:
        return f"{tool} answered" if tool else "The tool answered"
    if step.channel != Step.Channel.LLM_TO_TOOL:
        return "The model answered"
    if step.decision in ("ok", "replayed", "error") and not step.dry_run:
        return f"The model called {tool}"
    return f"The model would have called {tool}" if step.dry_run else f"The model asked for {tool}"


def configuration(session: Session) -> list[str]:
    """What the session narrows, a sentence each."""
    policy = session.policy if isinstance(session.policy, dict) else {}
    found = [_allowed(policy.get("allowlist"))]
    if blocked := policy.get("blocklist"):
        found.append(f"Never {_names(blocked)}.")
    if policy.get("no_network"):
        found.append("No tool that uses the network, or does not declare that it needs none.")
    if policy.get("dry_run"):
        found.append("A dry run: nothing runs, and each call is answered by what it would do.")
    if session.upstream:
        found.append(f"Only tools of the upstream server {visible(session.upstream)}.")
    found.append(f"At most {session.max_steps:,} step{'' if session.max_steps == 1 else 's'}.")
    return found


def _allowed(allowlist: Any) -> str:
    if allowlist is None:
        return "Every tool that its key may call."
    return f"Only {_names(allowlist)}." if allowlist else "No tool at all: its allowlist is empty."


def _names(names: Any) -> str:
    shown = [visible(str(name)) for name in names] if isinstance(names, Sequence) else []
    more = f" and {len(shown) - _MOST_NAMES} more" if len(shown) > _MOST_NAMES else ""
    return f"{', '.join(shown[:_MOST_NAMES])}{more}"


def mode_words(mode: Any) -> str:
    return _MODES.get(str(mode), seen(str(mode)))


def guardrails(kept: Any) -> list[str]:
    """The mode and thresholds of a session, a sentence each."""
    if not isinstance(kept, Mapping) or not kept:
        return ["Nothing is kept of its guardrails."]
    thresholds = kept.get("thresholds")
    known = thresholds if isinstance(thresholds, Mapping) else {}
    bounds = [f"{CATEGORIES[name]} {known[name]}" for name in GuardrailSettings.THRESHOLDS if name in known]
    found = [f"{mode_words(kept.get('mode'))}."]
    return [*found, f"A violation is a score above: {', '.join(bounds)}."] if bounds else found


def signals(told: Any) -> list[dict[str, Any]]:
    """Signals as rows: the violated ones first. Rows that are no objects are left out."""
    rows = [_signal(one) for one in told if isinstance(one, Mapping)] if isinstance(told, Sequence) else []
    return sorted(rows, key=lambda row: not row["violated"])


def _signal(told: Mapping[str, Any]) -> dict[str, Any]:
    """Shape: provider, category, stage, words, violated, denies, reused (words or "")."""
    violated, score = bool(told.get("violated")), told.get("score")
    reason = seen(str(told.get("reason") or ""), 120)
    reused = (reason or "Reused") if told.get("reused") else ""
    kinds = _kinds(told.get("kinds"))
    figures = seen(f"score {score}, allowed {told.get('threshold')}", 60)
    if score is None:
        words = f"could not say{f' ({reason})' if reason and not reused else ''}; doubt is a violation"
    elif kinds:
        words = f"found {kinds}: {figures}"
    else:
        words = figures if score else "nothing"
    return {
        "provider": seen(str(told.get("provider") or "?"), 40),
        "category": CATEGORIES.get(str(told.get("metric")), seen(str(told.get("metric") or ""), 40)),
        "stage": str(told.get("stage") or ""),
        "where": STAGES.get(str(told.get("stage")), seen(str(told.get("stage") or ""), 20)),
        "words": words,
        "violated": violated,
        "denies": violated and bool(told.get("denies")),
        "reused": reused,
        "note": "" if reused or score is None else reason,
    }


def _kinds(kinds: Any) -> str:
    """Names of what was found, with how often, where that is known."""
    if isinstance(kinds, Mapping):
        named: Iterable[str] = (f"{kind} ×{count}" if count != 1 else str(kind) for kind, count in kinds.items())
    elif isinstance(kinds, Sequence) and not isinstance(kinds, str):
        named = map(str, kinds)
    else:
        named = ()
    return ", ".join(seen(name, 60) for name in list(named)[:_MOST_KINDS])


def preflight(result: Any) -> dict[str, Any]:
    """What became of the preflight. Shape: tone, sentence, found (signals as rows, each with its tool)."""
    if not isinstance(result, Mapping) or not result:
        return {"tone": "", "sentence": "No preflight is kept of it.", "found": []}
    told = result.get("violations")
    found = signals(told)
    tools = [one.get("tool") for one in told if isinstance(one, Mapping)] if isinstance(told, Sequence) else []
    for row, tool in zip(found, tools, strict=False):
        row["where"] = seen(str(tool), 64) if tool else row["where"]
    checked = result.get("checked")
    count = checked.get("tools") if isinstance(checked, Mapping) else None
    read = (
        f"the descriptions of {count} tool{'' if count == 1 else 's'} were read" if count else "nothing was to be read"
    )
    came = f"{len(found)} violation{'' if len(found) == 1 else 's'}" if found else "nothing above its threshold"
    if result.get("passed") is False:
        return {"tone": "bad", "sentence": f"Refused: {read}, {came}.", "found": found}
    return {"tone": "careful" if found else "good", "sentence": f"Passed: {read}, {came}.", "found": found}


def asked(result: Any) -> str:
    """The detectors that were there as the session began, with their versions."""
    told = result.get("detectors") if isinstance(result, Mapping) else None
    rows = [one for one in told if isinstance(one, Mapping)] if isinstance(told, Sequence) else []
    return ", ".join(seen(f"{one.get('name')} {one.get('version') or ''}".strip(), 60) for one in rows)
