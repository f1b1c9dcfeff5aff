"""`make demo`: everything on this machine, the workflow and two phases shown, then it keeps serving until Ctrl-C."""

import json
import os
import signal
import socket
import sys
import time
import urllib.request
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from mcp_observatory import ToolClient

from observatory.demo import (
    environment,
    planner_scenario,
    real_world_scenario,
    session_scenario,
    telemetry_scenario,
    two_phase_scenario,
    upstream_scenario,
)
from observatory.demo.catalogue import CATALOGUE
from observatory.demo.invoking import AnsweredOtherwise
from observatory.demo.scenarios import WORKFLOW_TOOLS, run
from observatory.demo.seed import seed
from observatory.embedded.keeper import Kept

WEB_WORKERS, WEB_THREADS = 2, 64
START_OVER = "Data of an earlier run may be the cause: make demo ARGS=--fresh forgets it."


class Command(BaseCommand):
    help = "Starts everything on this machine, runs its scenarios against it, and keeps serving."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--fresh", action="store_true", help="Forget what earlier runs left under var/demo.")
        parser.add_argument("--once", action="store_true", help="Stop after the scenarios.")

    def handle(self, *args: Any, port: int, once: bool, **options: Any) -> None:
        began = time.perf_counter()
        _heed(signal.default_int_handler)
        _refuse_taken(port)
        self.stdout.write("Preparing the database …")
        self.stdout.flush()
        call_command("migrate", verbosity=0)
        seed()
        self.stdout.write("Starting web, worker and beat …")
        address = f"http://127.0.0.1:{port}"
        kept = self._start(port)
        try:
            self._wait(address, kept["web"])
            self.stdout.write(f"Serving after {time.perf_counter() - began:.1f} s.\n\n")
            self._workflow(address)
            self._two_phases(address)
            self._upstream(address)
            self._sessions(address)
            telemetry_scenario.run(address, settings.DEMO_API_KEY, self.stdout.write)
            if once:
                self.stdout.write("\nThe workflow is done; without --once it keeps serving.\n")
            else:
                self._where_to_look(address)
            while not once and all(process.exit_code() is None for process in kept.values()):
                time.sleep(0.3)
            if not once:
                dead = ", ".join(f"{name} ({p.log_tail(600)})" for name, p in kept.items() if p.exit_code() is not None)
                raise CommandError(f"Stopped, because this ended: {dead}")
        except AnsweredOtherwise as error:
            raise CommandError(f"{error}. {START_OVER}") from None
        except KeyboardInterrupt:
            self.stdout.write("\nStopping.")
        finally:
            # A second Ctrl-C must not leave anything running.
            _heed(signal.SIG_IGN)
            for process in kept.values():
                process.end()
            for process in kept.values():
                process.stop()
            environment.stop()

    def _start(self, port: int) -> dict[str, Kept]:
        def keep(name: str, *command: str) -> Kept:
            log = environment.folder() / f"{name}.log"
            return Kept([sys.executable, "-m", *command], env=dict(os.environ), log=log)

        web = (
            "granian",
            "--interface",
            "wsgi",
            "observatory.wsgi:application",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        )
        size = ("--workers", str(WEB_WORKERS), "--blocking-threads", str(WEB_THREADS), "--log-level", "warning")
        beat = str(environment.folder() / "beat-schedule")
        return {
            "web": keep("web", *web, *size),
            "worker": keep(
                "worker", "celery", "-A", "observatory", "worker", "-P", "threads", "-c", "4", "-l", "warning"
            ),
            "beat": keep("beat", "celery", "-A", "observatory", "beat", "-l", "warning", "-s", beat, "--pidfile="),
        }

    def _wait(self, address: str, web: Kept) -> None:
        def ready() -> bool:
            try:
                with urllib.request.urlopen(f"{address}/health/ready", timeout=2) as answer:  # noqa: S310 (our own)
                    return bool(json.load(answer)["ok"])
            except OSError:
                return False

        web.wait_until(ready, seconds=60)

    def _workflow(self, address: str) -> None:
        if missing := sorted(set(WORKFLOW_TOOLS) - set(settings.DEMO_ALLOWED_TOOLS)):
            self.stdout.write(f"The workflow is not shown: ALLOWED_TOOLS leaves out {', '.join(missing)}.\n")
            return
        second = environment.folder() / "second-key"
        run_name = f"demo-{Path(settings.BASE_DIR).name}-{time.time_ns()}"
        workflow = run(
            address,
            settings.DEMO_API_KEY,
            second.read_text() if second.exists() else None,
            self.stdout.write,
            run_name=run_name,
        )
        if not workflow.replayed or workflow.ticket_id != workflow.replayed_ticket_id:
            raise CommandError("The second run made another ticket: idempotency is broken.")

    def _two_phases(self, address: str) -> None:
        """Transfers and everyday requests were shown, where this key may see all that they need."""
        with ToolClient(address, settings.DEMO_API_KEY) as client:
            seen = {tool["name"] for tool in client.list_tools()}
        needed = {two_phase_scenario.TOOL, *real_world_scenario.ALSO_CALLED, *(entry.tool for entry in CATALOGUE)}
        if missing := sorted(needed - seen):
            self.stdout.write(
                f"Two phases are not shown: this key does not see {', '.join(missing)}. The demonstration's policy was "
                f"made before them or without them; --fresh makes another.\n"
            )
            return
        for scenario in (two_phase_scenario, real_world_scenario, planner_scenario):
            scenario.run(address, settings.DEMO_API_KEY, self.stdout.write)

    def _upstream(self, address: str) -> None:
        """A tool of another server was called, where this key may see it."""
        with ToolClient(address, settings.DEMO_API_KEY) as client:
            seen = {tool["name"] for tool in client.list_tools()}
        if upstream_scenario.TOOL in seen:
            upstream_scenario.run(address, settings.DEMO_API_KEY, self.stdout.write)
        else:
            self.stdout.write(f"No upstream is shown: this key does not see {upstream_scenario.TOOL}.\n")

    def _sessions(self, address: str) -> None:
        """Runs of an agent were shown, where this key may make the calls that are refused in them, and others."""
        with ToolClient(address, settings.DEMO_API_KEY) as client:
            seen = {tool["name"] for tool in client.list_tools()}
        needed = {session_scenario.SEARCH, session_scenario.TICKET, session_scenario.MESSAGE}
        if missing := sorted(needed - seen):
            self.stdout.write(f"No session is shown: this key does not see {', '.join(missing)}.\n")
            return
        report = environment.folder() / "sessions.xlsx"
        session_scenario.run(address, settings.DEMO_API_KEY, self.stdout.write, report)

    def _where_to_look(self, address: str) -> None:
        password = os.environ.get("OPERATOR_PASSWORD") or "the one you set"
        self.stdout.write(
            f"\nLook at it:\n"
            f"  {address}/admin/       admin / {password}   (also: operator, second-operator)\n"
            f"  {address}/api/docs/    every address, with examples\n"
            f"  {settings.AUDIT_TRAIL}   what happened, a JSON line each\n"
            f"Call it yourself:\n"
            f"  curl -H 'X-API-Key: {settings.DEMO_API_KEY}' {address}/mcp/tools\n"
            f"Ctrl-C stops everything.\n"
        )


def _heed(handler: Any) -> None:
    """What Ctrl-C and an end do; also where the parent ignored them, as shells do for what runs in the background."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(f"Port {port} is taken: {error.strerror}. Try: make demo ARGS='--port 8001'") from None
