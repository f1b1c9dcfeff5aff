"""What a key sees: its tools, each with its schemas and what a call of it will meet."""

import json
from collections.abc import Mapping
from typing import Any

from observatory.phases import DRY_SCHEMA, has_phases, phase_entries
from telemetry.canonical import digest
from tools.policy.effects import Effect
from tools.policy.selectors import matches
from tools.snapshot import KeyView, Snapshot, ToolView

HELD_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "requires_confirmation": {"const": True},
        "pending_action_id": {"type": "string"},
        "status": {"const": "pending_approval"},
        "expires_at": {"type": "string", "format": "date-time"},
        "approvals_needed": {"type": "integer"},
    },
    "required": ["requires_confirmation", "pending_action_id"],
}


def listing(key: KeyView, snapshot: Snapshot) -> dict[str, Any]:
    """Shape: {"tools": [...]}, by name; only what this key may see. A two-phase tool's phases follow it."""
    return {"tools": [found for tool in snapshot.tools_for(key) for found in entries_of(tool, key, snapshot)]}


def entries_of(tool: ToolView, key: KeyView, snapshot: Snapshot) -> list[dict[str, Any]]:
    """The tool's own entry, and those of its phases."""
    own = entry(tool, key, snapshot)
    if not has_phases(tool, key, snapshot):
        return [own]
    return [own, *phase_entries(tool, own, gate_of(tool, key, snapshot, proposed=True))]


def entry(tool: ToolView, key: KeyView, snapshot: Snapshot) -> dict[str, Any]:
    gate = gate_of(tool, key, snapshot)
    return {
        "name": tool.name,
        "title": tool.title,
        "method": "POST",
        "path": f"/tools/{tool.name}",
        "description": tool.description,
        "risk": tool.risk,
        "supports_idempotency_key": tool.supports_idempotency_key,
        "input_schema": tool.input_schema,
        "output_schema": output_schema(tool, gate),
        "annotations": tool.annotations,
        "version": tool.version,
        "gate": gate,
    }


def gate_of(tool: ToolView, key: KeyView, snapshot: Snapshot, *, proposed: bool = False) -> str:
    """The strictest thing that some rule, or the tool, may ask of a call: dry_run, two_phase, approval or none.

    A rule's conditions may not apply to a particular call; then it meets less. Of a call that is proposed, the second
    phase is not asked any more.
    """
    policy = snapshot.policy_of(key)
    rules = policy.program.rules if policy and policy.program else ()
    effects = {rule.effect for rule in rules if matches(rule.tools, tool.name)}
    if Effect.DRY_RUN in effects or (policy and policy.program and policy.program.dry_run):
        return "dry_run"
    if not proposed and (tool.requires_two_phase or Effect.REQUIRE_TWO_PHASE in effects):
        return "two_phase"
    if tool.requires_approval or Effect.REQUIRE_APPROVAL in effects:
        return "approval"
    return "none"


def output_schema(tool: ToolView, gate: str) -> Mapping[str, Any] | None:
    """The tool's own schema; where a call may also be held or dry, an object-rooted union of these."""
    if tool.output_schema is None:
        return None
    own = dict(tool.output_schema)
    if tool.supports_idempotency_key:
        own["properties"] = {**own.get("properties", {}), "idempotent_replay": {"type": "boolean"}}
    if gate in ("none", "two_phase"):
        return own
    definitions = {"$defs": own.pop("$defs")} if "$defs" in own else {}
    # A dry run by condition may not apply, and then the call may be held: every answer that can come is in the union.
    others = [DRY_SCHEMA, HELD_SCHEMA] if gate == "dry_run" else [HELD_SCHEMA]
    return {"type": "object", "anyOf": [own, *others], **definitions}


def etag_of(body: Mapping[str, Any]) -> str:
    return f'"{digest(json.dumps(body, sort_keys=True).encode())[:32]}"'
