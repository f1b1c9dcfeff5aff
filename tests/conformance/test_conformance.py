"""The Model Context Protocol's own conformance suite, over HTTP to a real server, at every version that it scores."""

import json
import os
import subprocess
import sys

import pytest
from django.contrib.auth.models import Group

from tests.conformance.expectations import checks, expected, wrong
from tests.conformance.listed_tools import COMMANDS, accept_content_tools, declare_schema_tool
from tests.conformance.people import TASKS, somebody_agrees
from tests.node.installed import PLACE
from tests.serving import database_url, serving

SUITE = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
SETTINGS = "tests.conformance.settings"
# How many scenarios the pinned suite has for each: fewer would mean that something did not run.
SCENARIOS = {"2025-11-25": 33, "2026-07-28": 50}


@pytest.fixture
def server(world, settings, tmp_path):
    """It has the suite's tools, and takes requests without a key for one that may call them all."""
    settings.MCP_COMMANDS = COMMANDS
    subprocess.run(
        [sys.executable, "manage.py", "sync"],
        env=os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": SETTINGS},
        check=True,
        capture_output=True,
    )
    declare_schema_tool()
    accept_content_tools()
    reviewers = Group.objects.create(name="reviewers")
    reviewers.user_set.add(world.bob)
    held = {"tools": "\n".join(TASKS), "effect": "require_approval", "groups": ["reviewers"]}
    key = world.caller(world.policy("suite", {"tools": "*", "effect": "allow"}, held, self_confirm=True))
    environment = {
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "OBSERVATORY_MCP_TEST_KEY": key.secret,
        "OBSERVATORY_MCP_COMMANDS": json.dumps(COMMANDS),
    }
    with serving(tmp_path, **environment) as running, somebody_agrees(world.bob):
        yield running


@pytest.mark.node
@pytest.mark.slow
@pytest.mark.alone  # the suite gives some answers half a second
@pytest.mark.timeout(300)
@pytest.mark.django_db(transaction=True)
def test_nothing_is_wrong_but_what_is_known_to_be(server, node, tmp_path):
    for version, scenarios in SCENARIOS.items():
        folder = tmp_path / version
        asked = ["server", "--url", f"{server.url}/mcp", "--requirements", version, "-o", str(folder)]
        # What it ends with does not count: it judges neither warnings nor extensions.
        ran = subprocess.run([node, SUITE, *asked], cwd=PLACE, capture_output=True, text=True, timeout=100, check=False)
        found = checks(folder)
        assert len(found) == scenarios, ran.stdout + ran.stderr
        problems, known = wrong(found), expected(version)
        new = [f"{check}: {said}" for check, said in problems.items() if check not in known]
        gone = sorted(known - set(problems))
        assert not new, "\n".join([f"{version}, wrong:", *new])
        assert not gone, "\n".join([f"{version}, expected to be wrong, and right or not asked:", *gone])
