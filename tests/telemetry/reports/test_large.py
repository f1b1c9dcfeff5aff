"""A hundred thousand steps: each is told, and memory does not grow with them."""

import datetime as dt
import json
import os
import subprocess
import sys
import time

import pytest
from django.conf import settings
from django.utils import timezone
from openpyxl import load_workbook

from telemetry.models import Report, Session, Step
from telemetry.reports.requested import LEASE, run_report
from tests.serving import database_url
from tests.telemetry.reports.rows import MINUTE, MOMENT, SIGNAL, session, step_fields

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]
FEW, MANY, A_SESSION = 1_000, 100_000, 2_000
# What a report of a hundred times as many steps may take more.
MOST_MORE_KIB = 24 * 1024


def filled(agent, steps):
    """Sessions of an agent with so many steps, whose texts differ."""
    for place in range(-(-steps // A_SESSION)):
        one = session(f"{agent}_{place}", agent=agent, agent_id=steps, created_at=MOMENT + place * MINUTE)
        rows = [
            Step(
                **step_fields(one, number)
                | {"input_text": f"Search for customer {place}/{number} " + "and say what it is called " * 6}
                | {
                    "output_text": f"customer {place}/{number} " + "is one of those that " * 7,
                    "guardrail_signals": [SIGNAL],
                }
            )
            for number in range(1, min(steps - place * A_SESSION, A_SESSION) + 1)
        ]
        Step.objects.bulk_create(rows, batch_size=1_000)
    Session.objects.filter(agent=agent).update(steps_begun=A_SESSION)


# A child's peak begins with that of whoever started it, which here has read whole reports: so a small one starts it.
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def report(out, format_, agent):
    """Seconds and the most memory (KiB) that the command took, and what it said meanwhile."""
    environment = os.environ | {"DATABASE_URL": database_url()}
    command = [sys.executable, "manage.py", "report", "--format", format_, "--out", out, "--agent", agent]
    began = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, *command],
        check=True,
        capture_output=True,
        text=True,
        cwd=settings.BASE_DIR,
        env=environment,
    )
    return time.perf_counter() - began, int(ran.stdout.split()[-1]), ran.stderr


def test_a_hundred_thousand_steps_are_told_in_the_memory_of_a_thousand(tmp_path, capsys):
    filled("few", FEW)
    filled("many", MANY)
    for format_ in ("json", "xlsx"):
        out = tmp_path / f"many.{format_}"
        few_s, few_kib, _ = report(tmp_path / "few", format_, "few")
        many_s, many_kib, progress = report(out, format_, "many")
        with capsys.disabled():
            sys.stdout.write(
                f"\n{format_}: {MANY:,} steps in {many_s:.1f} s, {out.stat().st_size:,} bytes;"
                f" {FEW:,} in {few_s:.1f} s, the start included: {many_s / few_s:.1f} times as long for"
                f" {MANY // FEW} times as many; peak {many_kib // 1024} MiB against {few_kib // 1024} MiB\n"
            )
        assert many_kib - few_kib < MOST_MORE_KIB
        assert f" of {MANY:,} steps\n" in progress
        assert told(out, format_) == {
            (f"many_{place}", f"step_{number}")
            for place in range(MANY // A_SESSION)
            for number in range(1, A_SESSION + 1)
        }


def told(path, format_):
    if format_ == "json":
        found = json.loads(path.read_bytes())["mcp_details"]
        assert found["summary"]["total_steps"] == MANY
        rows = [(one["session_id"], each["step_id"]) for one in found["sessions"] for each in one["steps"]]
    else:
        with path.open("rb") as file:
            sheet = load_workbook(file, read_only=True)["MCP_Details"]
            rows = [tuple(row) for row in sheet.iter_rows(min_row=2, max_col=2, values_only=True)]
    assert len(rows) == MANY
    return set(rows)


MAKE = """
import django; django.setup()
import sys
from django.utils import timezone
from telemetry.reports.requested import run_report
run_report(sys.argv[1], timezone.now)
"""


def test_a_maker_that_is_killed_is_followed_by_another():
    filled("many", 20_000)
    now = timezone.now()
    asked = Report.objects.create(
        format="json", requester_id=1, requester="alice", created_at=now, expires_at=now + dt.timedelta(days=1)
    )
    environment = os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "observatory.settings"}
    maker = subprocess.Popen([sys.executable, "-c", MAKE, str(asked.pk)], cwd=settings.BASE_DIR, env=environment)
    until = time.monotonic() + 60
    while asked.done_steps == 0 and time.monotonic() < until:
        asked.refresh_from_db()
    maker.kill()
    maker.wait()
    asked.refresh_from_db()
    assert (asked.status, asked.total_steps, asked.parts.count()) == ("running", 20_000, 0)
    assert 0 < asked.done_steps < 20_000
    assert run_report(asked.pk, timezone.now) is False
    assert run_report(asked.pk, lambda: timezone.now() + LEASE) is True
    asked.refresh_from_db()
    assert (asked.status, asked.attempts, asked.done_steps) == ("done", 2, 20_000)
