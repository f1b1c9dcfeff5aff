"""`make demo` as a newcomer has it: it shows the workflow, serves the earlier system's client, survives kill -9."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from openpyxl import load_workbook

from observatory.demo.catalogue import CATALOGUE
from tests.journeys.seed_client import SeedClient
from tests.serving import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ROOT = Path(__file__).resolve().parents[2]
OURS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE", "ALLOWED_HOSTS")


class Demo:
    """The demonstration in a process of its own, with data of its own."""

    def __init__(self, folder):
        self.folder, self.port, self.said = folder, free_port(), ""

    def __enter__(self):
        environment = {k: v for k, v in os.environ.items() if k not in OURS and not k.startswith("OBSERVATORY")}
        environment["OBSERVATORY_DEMO_FOLDER"] = str(self.folder)
        command = [sys.executable, "manage.py", "demo", "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        ready = threading.Event()

        def read():
            for line in self.process.stdout:
                self.said += line
                if "Ctrl-C stops everything" in line:
                    ready.set()
            ready.set()

        self.reader = threading.Thread(target=read)
        self.reader.start()
        assert ready.wait(120), self.said
        assert "Ctrl-C" in self.said, self.said
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        self.reader.join()
        self.process.stdout.close()

    def client(self, key="dev-key"):
        return SeedClient(f"http://127.0.0.1:{self.port}", key)


def assert_two_phases_were_shown(said):
    assert re.search(r"commit +transfer \d+: 100\.0 to acct_123\n +commit again +refused: nonce_replay\n", said)
    assert re.search(
        r'blocked, low_integrity.*\n +create_draft +{.*"tool": "transfer_funds"}; nothing else happened', said
    )
    for entry in CATALOGUE:
        ended = "committed: " if entry.two_phase else f".*\n +rests on .* facts of {entry.tool}: "
        assert re.search(rf"  {entry.tool} .*{ended}", said), entry.tool
        assert re.search(rf"    {entry.tool} {{.*}}: {'allowed with score' if entry.two_phase else 'done'}", said)
    assert "no plan: it can be read in two ways" in said
    assert len(said.splitlines()) < 120


def assert_sessions_were_shown(said, folder):
    for line in (
        r"llm_to_tool +search_customer +ok",
        r"llm_to_tool +create_ticket +denied_schema: denied_schema",
        r"llm_to_tool +send_message +denied_policy: session_blocklist",
        r"llm_to_tool +create_ticket +error: tool_error",
        r"llm_to_tool +search_customer +denied_policy: guardrail_input",
        r"user_to_llm +\(words\) +denied_policy: max_steps",
        r"runs dry: \[DRY RUN\] Would call create_ticket",
    ):
        assert re.search(line, said), line
    rows = list(load_workbook(folder / "sessions.xlsx")["MCP_Details"].values)
    assert rows[0][:2] == ("Session ID", "Step ID")
    assert len(rows) >= 1 + 7 + 1


def shim(name, demo):
    """One of the programs under examples/, as somebody runs it against this demonstration."""
    url = f"http://127.0.0.1:{demo.port}"
    command = [sys.executable, f"examples/{name}.py", "--url", url]
    run = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_demonstration(tmp_path):
    folder = tmp_path / "demo"
    with Demo(folder) as demo:
        assert re.search(r"create_ticket +ticket \d+, idempotent_replay: True", demo.said)
        assert "own_request" in demo.said
        assert_two_phases_were_shown(demo.said)
        assert_sessions_were_shown(demo.said, folder)

        # the earlier system's client, unchanged, twice
        first, second = demo.client().scenario("ticket-1"), demo.client().scenario("ticket-1")
        assert set(first["ticket"]) == {"ticket", "idempotent_replay"}
        assert set(first["ticket"]["ticket"]) == {"id", "customer_id", "title", "priority", "created_at"}
        assert second["ticket"] == first["ticket"] | {"idempotent_replay": True}
        assert set(first["confirmed"]) == {"ok", "status", "customer"}
        assert first["confirmed"]["customer"]["status"] == "at_risk"
        assert first["message"] == {"sent": True, "channel": "support"}
        assert demo.client().request("GET", "/health") == (200, {"ok": True, "version": "0.1.0"})
        impact = demo.client().post("/tools/get_incident_impact", {"incident_id": "INC-1"})
        assert [c["name"] for c in impact["affected_customers"]] == ["ACME AB", "Nordic Widgets"]

        # what it showed can be run again, as often as one likes
        assert "refused: nonce_replay" in shim("transfer_funds", demo)
        assert shim("real_world_tools", demo).count("rests on") == 7
        assert shim("prompt_to_invocation", demo).count("allowed with score") == 3
        status, answer = demo.client().request("POST", "/tools/transfer_funds", {"amount": 1, "to": "acct_1"})
        assert (status, answer["code"]) == (403, "two_phase_required")

        # a key that is none is refused by the real server too, which hands on such headers in its own way
        asked = {"customer_id": 1, "title": "Never made"}
        for key in ("", "order-\u00e91"):
            status, answer = demo.client().request("POST", "/tools/create_ticket", asked, **{"Idempotency-Key": key})
            assert (status, answer["code"]) == (400, "invalid_parameter")

        # the second agent can't confirm for itself
        other = demo.client((folder / "second-key").read_text())
        held = other.post("/tools/update_customer_status", {"customer_id": 1, "new_status": "x", "confirm": True})
        status, answer = other.request("POST", f"/confirm/{held['pending_action_id']}", {"approve": True})
        assert (status, answer["code"]) == (403, "own_request")

        demo.process.kill()  # nothing may need a hand afterwards

    with Demo(folder) as again:
        assert again.client().post("/tools/search_customer", {"query": "acme"})["results"][0]["status"] != "active"
        assert_two_phases_were_shown(again.said)
        replay = again.client().scenario("ticket-1")
        assert replay["ticket"] == first["ticket"] | {"idempotent_replay": True}
        status, ready = again.client().request("GET", "/health/ready")
        assert (status, ready["database"], ready["broker"], ready["migrations"]) == (200, True, True, True)

    lines = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]
    assert {"key.created", "policy.published", "call.settled", "action.done"} <= {line["type"] for line in lines}
    trail = (folder / "audit.jsonl").read_text()
    assert "dev-key" not in trail
    secret = next(entry for entry in CATALOGUE if entry.tool == "reset_enterprise_password").arguments
    assert secret["temporary_secret"] not in trail + demo.said + again.said
