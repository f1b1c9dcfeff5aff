"""One tool that an upstream offers, as whoever decides about it must see it."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from telemetry.visible import pretty, visible
from tools.admin.upstream_words import check_words
from tools.models import ToolVersion, UpstreamTool
from tools.policy.visibility import may_see
from tools.snapshot import PolicyView, current
from tools.upstreams.declarations import Refusal, as_told, local_name
from tools.upstreams.differences import Difference, differences

MAY_DECIDE = "tools.accept_upstreamtool"
Policies = list[tuple[PolicyView, int]]


def shown_declaration(declaration: Mapping[str, Any]) -> dict[str, Any]:
    """As agents would read it, with nothing in it invisible."""
    output = declaration.get("output_schema")
    return {
        "title": visible(declaration.get("title") or ""),
        "description": visible(declaration.get("description") or "", block=True),
        "input_schema": pretty(declaration.get("input_schema")),
        "output_schema": pretty(output) if output is not None else "",
        "annotations": pretty(declaration.get("annotations") or {}),
    }


def shown_findings(offered: UpstreamTool) -> list[dict[str, Any]]:
    """What the checks found. Place and sentence are stored as they may be shown."""
    return [
        {
            "check": check_words(finding["check"]),
            "where": finding["where"],
            "detail": finding["detail"],
            "is_blocking": finding["blocking"],
        }
        for finding in offered.findings
    ]


def name_here(offered: UpstreamTool) -> tuple[str, str]:
    """How agents call it or would call it, and why they can't."""
    if offered.tool is not None:
        return offered.tool.name, ""
    name = local_name(offered.upstream.name, offered.upstream_name)
    return ("", name.detail) if isinstance(name, Refusal) else (name, "")


def keys_by_policy() -> Policies:
    """The policies that usable keys have, each with the number of its keys."""
    snapshot, now = current(), timezone.now()
    counts: dict[int, int] = {}
    for key in snapshot.keys.values():
        if key.policy_id is not None and key.usable(now):
            counts[key.policy_id] = counts.get(key.policy_id, 0) + 1
    return [(snapshot.policies[policy_id], count) for policy_id, count in counts.items()]


def _who_could(name: str, policies: Policies) -> dict[str, Any]:
    """Who could call a tool of that name as soon as it is accepted. Acceptance allows nothing; policies do."""
    allowing = [
        (visible(policy.name), count)
        for policy, count in policies
        if policy.program is not None and may_see(policy.program, name).visible
    ]
    if not allowing:
        return {"sees_it": "No policy in force lets any key call it.", "is_allowed": False}
    keys = sum(count for _, count in allowing)
    names = ", ".join(name for name, _ in allowing[:5]) + (" and others" if len(allowing) > 5 else "")
    policy = "policy" if len(allowing) == 1 else "policies"
    return {"sees_it": f"{keys} key{'s' if keys > 1 else ''} may call it, by the {policy} {names}.", "is_allowed": True}


def shown_offer(offered: UpstreamTool, policies: Policies) -> dict[str, Any]:
    name, problem = name_here(offered)
    return {
        "name": name,
        "problem": problem,
        "own_name": visible(offered.upstream_name),
        "full_name": visible(str(offered)),
        "declaration": shown_declaration(offered.declaration),
        **(_who_could(name, policies) if name else {}),
    }


def changes_since_accepted(offered: UpstreamTool) -> list[Difference]:
    """What agents would be told otherwise than by the tool's current version, which is what an operator accepted."""
    accepted = offered.tool.current_version if offered.tool else None
    return differences(_told(offered, accepted), as_told(offered.declaration)) if accepted else []


def _told(offered: UpstreamTool, version: ToolVersion) -> dict[str, Any]:
    parts = ("title", "description", "input_schema", "output_schema", "annotations")
    return {"name": offered.upstream_name} | {part: getattr(version, part) for part in parts}
