"""What every installation begins with: groups, alert rules, and the tools that are code. The tools are made by the
product's own act once in a test run; from then on the same rows are put back, since making them takes longer than most
tests."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from observatory.groups import create_groups
from telemetry.alerts.defaults import create_default_rules
from tools.actions.tools import sync_python_tools
from tools.models import Tool, ToolVersion
from tools.registry import registered

# Keys between them are checked when the transaction ends.
_MODELS: tuple[Any, ...] = (Tool, ToolVersion)
_kept: dict[tuple[tuple[str, str], ...], list[list[Any]]] = {}


def begin() -> None:
    """Groups, alert rules, tools and their versions are there, as `migrate` and `sync` make them."""
    create_groups()
    create_default_rules()
    declared = tuple(sorted((name, tool.declaration.digest) for name, tool in registered().items()))
    if Tool.objects.exists():
        sync_python_tools()
    elif declared not in _kept:
        sync_python_tools()
        _kept[declared] = [list(model.objects.all()) for model in _MODELS]
    else:
        with transaction.atomic():
            for model, rows in zip(_MODELS, _kept[declared], strict=True):
                model.objects.bulk_create(rows)
