"""The TypeScript clients and the Inspector's command line at the public door: what hosts in use today are made of."""

import json
import os
import subprocess

import pytest
from django.utils import timezone

from approvals.actions import decide
from observatory.tasks import run_action
from telemetry.models import Span
from tests.journeys.proposals import SAME
from tests.node.installed import PLACE
from tests.serving import serving

INSPECTOR = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
# How a client chooses its era, and the version that comes of it. The first generation does not tell.
GENERATIONS = {"sdk": None, "legacy": "2025-11-25", "auto": "2026-07-28", "pinned": "2026-07-28"}
# What the Inspector ends with.
SHOWS_A_TOOL_ERROR, WANTS_AUTHORISATION = 5, 3

pytestmark = [pytest.mark.node, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def caller(world):
    return world.caller(world.two_phase("send_message", name="agents"))


@pytest.fixture
def server(caller, tmp_path):
    with serving(tmp_path) as running:
        yield running


def story(world, node, server, secret, generation):
    """What happened at each step. A held call is approved by bob once it waits, and run as a worker does."""
    wanted = json.dumps({"customer_id": world.acme.pk, "candidate_outputs": SAME})
    command = [node, "story.mjs", generation, f"{server.url}/mcp", wanted]
    steps = {}
    with subprocess.Popen(
        command,
        cwd=PLACE,
        env=os.environ | {"OBSERVATORY_KEY": secret},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as told:
        for line in told.stdout:
            step = json.loads(line)
            steps[step.pop("step")] = step
            if "held" in steps and "decided" not in steps:
                steps["decided"] = approve(world, steps["held"]["structuredContent"]["pending_action_id"])
        errors = told.stderr.read()
    assert told.returncode == 0, (steps, errors)
    return steps


def approve(world, action_id):
    decide(action_id, world.bob, approve=True, reason="", via="admin", now=timezone.now())
    run_action(action_id)
    return True


def test_a_typescript_client_of_either_generation_does_all_that_an_agent_does(world, caller, server, node):
    for generation, version in GENERATIONS.items():
        world.acme.status = "active"
        world.acme.save()
        steps = story(world, node, server, caller.secret, generation)
        assert steps["connected"]["server"]["name"] == "mcp-observatory"
        assert steps["connected"].get("version") == version
        names = {tool["name"] for tool in steps["listed"]["tools"]}
        assert {"search_customer", "send_message_propose", "send_message_commit", "observatory.status"} <= names
        assert steps["found"]["structuredContent"]["results"][0]["name"] == "ACME AB"
        assert (steps["refused"]["isError"], steps["refused"]["structuredContent"]["code"]) == (True, "denied_schema")
        assert steps["unknown"]["code"] == -32602
        assert steps["held"]["structuredContent"]["status"] == "pending_approval"
        assert steps["finished"]["structuredContent"]["status"] == "done"
        assert steps["finished"]["structuredContent"]["result"]["customer"]["status"] == "vip"
        world.acme.refresh_from_db()
        assert world.acme.status == "vip"
        assert steps["proposed"]["structuredContent"]["status"] == "allowed"
        assert steps["committed"]["structuredContent"]["status"] == "committed"
        assert (steps["again"]["isError"], steps["again"]["structuredContent"]["reason"]) == (True, "nonce_replay")
    assert set(Span.objects.exclude(door="approval").values_list("door", flat=True)) == {"mcp", "commit"}


def inspected(node, server, secret, home, *words):
    """What the Inspector ended with, and the result that it printed, if any."""
    where = ["--transport", "http", "--server-url", f"{server.url}/mcp", "--header", f"Authorization: Bearer {secret}"]
    ran = subprocess.run(
        [node, INSPECTOR, "--cli", *where, "--format", "json", "--quiet", *words],
        cwd=PLACE,
        env=os.environ | {"HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.returncode, json.loads(ran.stdout)["result"] if ran.stdout else None


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_lists_and_calls_and_finds_no_error_in_the_schemas(caller, server, node, tmp_path, era):
    def ask(*words, secret=caller.secret):
        return inspected(node, server, secret, tmp_path, "--protocol-era", era, *words)

    status, listed = ask("--method", "tools/list", "--strict")
    assert (status, "search_customer" in {tool["name"] for tool in listed["tools"]}) == (0, True)
    status, found = ask("--method", "tools/call", "--tool-name", "search_customer", "--tool-arg", "query=acme")
    assert (status, found["structuredContent"]["results"][0]["name"]) == (0, "ACME AB")
    status, refused = ask("--method", "tools/call", "--tool-name", "create_ticket", "--tool-arg", "title=x")
    assert (status, refused["structuredContent"]["code"]) == (SHOWS_A_TOOL_ERROR, "denied_schema")
    assert ask("--method", "tools/list", "--stored-auth-only", secret="mo_test_x") == (WANTS_AUTHORISATION, None)
