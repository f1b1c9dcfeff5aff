"""A two-phase tool T as agents see it besides: T_propose and T_commit, with flat arguments."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tools.models.tool import RESERVED_ENDINGS
from tools.policy.effects import Effect
from tools.policy.selectors import matches
from tools.snapshot import KeyView, Snapshot, ToolView


class Phase(StrEnum):
    PROPOSE = "_propose"
    COMMIT = "_commit"


assert tuple(Phase) == RESERVED_ENDINGS, "no tool can have such a name"

COMMIT_ARGUMENTS: Mapping[str, Any] = {
    "proposal_id": {"type": "string", "description": "Of the proposal."},
    "commit_token": {"type": "string", "description": "As the proposal was answered."},
}
INTENT_ARGUMENTS: Mapping[str, Any] = {
    "prompt": {"type": "string", "description": "What this call came of; scored against the tool's baseline."},
    "candidate_outputs": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 2,
        "maxItems": 2,
        "description": "Two outputs of your model for the prompt; how far they differ is scored.",
    },
}
DRY_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"dry_run": {"const": True}, "would": {"type": "object"}},
    "required": ["dry_run", "would"],
}
_SCORE: Mapping[str, Any] = {
    "proposal_id": {"type": "string"},
    "tool_name": {"type": "string"},
    "tool_args": {"type": "object"},
    "composite_score": {"type": ["number", "null"]},
    "signals": {"type": "object"},
}
ALLOWED_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "status": {"const": "allowed"},
        **_SCORE,
        "commit_token": {"type": "string"},
        "token_id": {"type": "string"},
        "expires_at": {"type": "string", "format": "date-time"},
    },
    "required": ["status", "proposal_id", "commit_token"],
}
BLOCKED_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "status": {"const": "blocked"},
        "action": {"const": "create_draft"},
        "reason": {"const": "low_integrity"},
        "draft": {"type": "object"},
        **_SCORE,
    },
    "required": ["status", "action", "reason", "draft"],
}
PENDING_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"status": {"const": "pending_approval"}, **_SCORE, "pending_action_id": {"type": "string"}},
    "required": ["status", "proposal_id", "pending_action_id"],
}


@dataclass(frozen=True, slots=True)
class PhaseOf:
    """One of the two phases of one tool."""

    tool_name: str
    phase: Phase


def phase_named(name: str) -> PhaseOf | None:
    """Which phase of which tool this name stands for, whether there is such a tool or not; None for other names."""
    for phase in Phase:
        if name.endswith(phase.value):
            return PhaseOf(name.removesuffix(phase.value), phase)
    return None


def has_phases(tool: ToolView, key: KeyView, snapshot: Snapshot) -> bool:
    """Two phases may be asked of this key's calls of the tool, and its own arguments leave room for theirs."""
    own = tool.input_schema.get("properties", {})
    return not set(own) & set(COMMIT_ARGUMENTS) and (tool.requires_two_phase or _by_rule(tool, key, snapshot))


def _by_rule(tool: ToolView, key: KeyView, snapshot: Snapshot) -> bool:
    policy = snapshot.policy_of(key)
    rules = policy.program.rules if policy and policy.program else ()
    return any(rule.effect is Effect.REQUIRE_TWO_PHASE and matches(rule.tools, tool.name) for rule in rules)


def phase_entries(tool: ToolView, entry: Mapping[str, Any], gate: str) -> list[dict[str, Any]]:
    """The two entries of discovery, from the tool's own; `gate` is what its proposal meets."""
    others = [DRY_SCHEMA] if gate == "dry_run" else []
    return [
        {
            **entry,
            "name": tool.name + Phase.PROPOSE,
            "title": f"{tool.title}: propose",
            "path": f"/tools/{tool.name}{Phase.PROPOSE}",
            "description": f"First of two phases: nothing happens yet. {tool.description}",
            "input_schema": _with_arguments(tool, INTENT_ARGUMENTS, required=()),
            "output_schema": {"type": "object", "anyOf": [ALLOWED_SCHEMA, BLOCKED_SCHEMA, PENDING_SCHEMA, *others]},
            "annotations": {
                "readOnlyHint": False,
                "destructiveHint": False,
                "idempotentHint": False,
                "openWorldHint": False,
            },
            "gate": gate,
        },
        {
            **entry,
            "name": tool.name + Phase.COMMIT,
            "title": f"{tool.title}: commit",
            "path": f"/tools/{tool.name}{Phase.COMMIT}",
            "description": f"Second of two phases: runs what was proposed, once. {tool.description}",
            "input_schema": _with_arguments(tool, COMMIT_ARGUMENTS, required=tuple(COMMIT_ARGUMENTS)),
            "output_schema": _committed_schema(tool, others),
            "gate": "none",
        },
    ]


def _with_arguments(tool: ToolView, more: Mapping[str, Any], *, required: tuple[str, ...]) -> dict[str, Any]:
    schema = copy.deepcopy(dict(tool.input_schema))
    # An argument of the tool's own by that name is the tool's.
    schema["properties"] = {**more, **schema.get("properties", {})}
    if required:
        schema["required"] = [*schema.get("required", []), *required]
    return schema


def _committed_schema(tool: ToolView, others: list[Mapping[str, Any]]) -> dict[str, Any]:
    own = copy.deepcopy(dict(tool.output_schema or {"type": "object"}))
    definitions = {"$defs": own.pop("$defs")} if "$defs" in own else {}
    committed = {
        "type": "object",
        "properties": {"status": {"const": "committed"}, "commit_id": {"type": "string"}, "result": own},
        "required": ["status", "commit_id", "result"],
    }
    return {"type": "object", "anyOf": [committed, *others], **definitions}


def split_intent(tool: ToolView, flat: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tool's arguments, and what of the flat ones describes the intent."""
    theirs = set(INTENT_ARGUMENTS) - set(tool.input_schema.get("properties", {}))
    arguments = {name: value for name, value in flat.items() if name not in theirs}
    return arguments, {name: value for name, value in flat.items() if name in theirs}
