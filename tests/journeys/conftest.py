"""What journeys share besides tests/world.py: a server that stands behind this one."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from observatory.groups import POLICY_EDITORS
from telemetry.models import AlertRule
from telemetry.recorder import SYSTEM
from tests.journeys.people import signed_in
from tests.journeys.shelf import Shelf
from tests.upstreams import notebook
from tests.world import World
from tools.actions.upstreams import save_upstream
from tools.models import Upstream
from tools.upstreams.pool import POOL


@pytest.fixture
def folder(tmp_path, settings):
    """Where the notebook keeps what it says and what it did; the command `notebook` runs it."""
    notebook.describe(tmp_path)
    settings.MCP_COMMANDS = {"notebook": [sys.executable, notebook.__file__, str(tmp_path)]}
    return tmp_path


@pytest.fixture
def shelf(tmp_path: Path, settings: Any) -> Iterator[Shelf]:
    """A program that the settings name `shelf`, and that offers nothing yet."""
    found = Shelf(tmp_path)
    settings.MCP_COMMANDS = {"shelf": found.command}
    yield found
    POOL.close()


@pytest.fixture
def edda(world: World) -> Client:
    """Admin, open for a policy editor."""
    return signed_in(world.person("edda", POLICY_EDITORS))


@pytest.fixture
def shelf_server(world: World, shelf: Shelf) -> Upstream:
    """The program as an upstream; nobody has looked at it."""
    return save_upstream(Upstream(name="shelf", transport="stdio", command="shelf"), SYSTEM)


@pytest.fixture
def orders(world: World) -> Upstream:
    """A server somewhere, at which each agent has a credential of its own."""
    made = Upstream(name="orders", url="https://mcp.example.com/mcp", credential="per_agent")
    made.credential_name = "Authorization"
    return save_upstream(made, SYSTEM)


@pytest.fixture
def only_our_rules(world: World) -> None:
    """The rules that come with an installation are off: what fires is what the test made."""
    AlertRule.objects.update(enabled=False)
