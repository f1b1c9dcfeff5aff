"""The settings that an operator is shown first for a new tool: never milder than what the upstream declared.

Source: MCP ToolAnnotations; a hint that is missing counts as the specification's default, which is the worse case.
"""

from collections.abc import Mapping
from typing import Any

from tools.models.tool import Tool
from tools.upstreams.checks.annotations import changing_word, hints_of


def proposed_settings(declaration: Mapping[str, Any]) -> dict[str, Any]:
    """Values for the operators' form, by the names of Tool's fields. An operator decides."""
    hints = hints_of(declaration)
    is_open = hints.get("openWorldHint") is not False
    # A hint that contradicts itself, or the tool's own words, is not believed.
    is_read_only = (
        hints.get("readOnlyHint") is True
        and hints.get("destructiveHint") is not True
        and not changing_word(declaration)
    )
    is_harmless = hints.get("readOnlyHint") is not True and hints.get("destructiveHint") is False
    if is_read_only:
        risk = Tool.Risk.MEDIUM if is_open else Tool.Risk.LOW
    else:
        risk = Tool.Risk.MEDIUM if is_harmless else Tool.Risk.HIGH
    return {
        "risk": risk.value,
        "read_only": is_read_only,
        "idempotent": is_read_only or hints.get("idempotentHint") is True,
        "irreversible": False,
        "network": (Tool.Network.YES if is_open else Tool.Network.UNDECLARED).value,
    }
