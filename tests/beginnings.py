"""What every installation begins with: groups, and the tools that are code. Made by the product's own acts once in a
test run; from then on the same rows are put back, since making them takes longer than most tests."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction

from observatory.groups import create_groups
from tools.actions.tools import sync_python_tools
from tools.models import Tool, ToolVersion
from tools.registry import registered

# In an order in which they can be put back; keys between them are checked when the transaction ends.
_MODELS: tuple[Any, ...] = (Group, Group.permissions.through, Tool, ToolVersion)
_kept: dict[tuple[tuple[str, str], ...], list[list[Any]]] = {}


def begin() -> None:
    """Groups, tools and their versions are there, as `migrate` and `sync` make them."""
    if Tool.objects.exists() or Group.objects.exists():
        _make()
        return
    declared = tuple(sorted((name, tool.declaration.digest) for name, tool in registered().items()))
    if declared not in _kept:
        _make()
        _kept[declared] = [list(model.objects.all()) for model in _MODELS]
        return
    with transaction.atomic():
        for model, rows in zip(_MODELS, _kept[declared], strict=True):
            model.objects.bulk_create(rows)


def _make() -> None:
    create_groups()
    sync_python_tools()
