"""The Model Context Protocol's own conformance suite, over HTTP to a real server, at every version that it scores."""

import os
import subprocess
import sys

import pytest

from tests.conformance.expectations import checks, expected, wrong
from tests.conformance.schemas import declare_schema_tool
from tests.node.installed import PLACE
from tests.serving import database_url, serving

SUITE = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
SETTINGS = "tests.conformance.settings"
# How many scenarios the pinned suite has for each: fewer would mean that something did not run.
SCENARIOS = {"2025-11-25": 33, "2026-07-28": 50}


@pytest.fixture
def server(world, tmp_path):
    """It has the suite's tools, and takes requests without a key for one that may call them all."""
    subprocess.run(
        [sys.executable, "manage.py", "sync"],
        env=os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": SETTINGS},
        check=True,
        capture_output=True,
    )
    declare_schema_tool()
    key = world.caller(world.policy("everything", {"tools": "*", "effect": "allow"}))
    with serving(tmp_path, DJANGO_SETTINGS_MODULE=SETTINGS, OBSERVATORY_MCP_TEST_KEY=key.secret) as running:
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
        new = {check: said for check, said in problems.items() if check not in known}
        assert not new, f"{version}: not conforming"
        assert not known - set(problems), f"{version}: expected to be wrong, and is right or not asked"
