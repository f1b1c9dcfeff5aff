"""`manage.py report`: sessions with their steps as a file, masked, in the words that the doors use."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from telemetry.models import Report
from telemetry.recorder import Actor
from telemetry.reports.making import Making
from telemetry.reports.selection import FILTERS, BadFilter, Filters, Selection
from telemetry.reports.writing import Made, record_made, write_report

ACTOR = Actor("system", "", "manage.py report")


class Command(BaseCommand):
    help = "Writes a report of agents' sessions: every step with its decision and figures, personal data masked."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=Report.Format.values, required=True)
        parser.add_argument("--out", type=Path, required=True, metavar="FILE")
        parser.add_argument("--session", metavar="ID", help="Only the session of this id.")
        parser.add_argument("--agent", metavar="NAME", help="Only sessions of this agent.")
        parser.add_argument("--from", metavar="TIME", help="Began then or later, such as 2026-11-21T14:00:00Z.")
        parser.add_argument("--to", metavar="TIME", help="Began before then.")

    def handle(self, *args: Any, format: str, out: Path, **options: Any) -> None:
        try:
            filters = Filters.from_json({name: options[name] for name in FILTERS if options[name]})
        except BadFilter as problem:
            raise CommandError(str(problem)) from None
        making = Making(Selection(filters), ACTOR.name, timezone.now())
        began = time.monotonic()
        try:
            made = self._write(format, making, out)
        except OSError as problem:
            raise CommandError(f"{out} can't be written: {problem.strerror or problem}") from None
        with transaction.atomic():
            record_made(ACTOR, format, making, made)
        took = time.monotonic() - began
        self.stdout.write(
            f"{made.sessions:,} sessions, {made.steps:,} steps, {made.size_bytes:,} bytes in {took:.1f} s: {out}"
        )

    def _write(self, format_: str, making: Making, out: Path) -> Made:
        """The file stands under its name once it is whole; nobody else can read it."""
        with NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}.", delete=False) as unfinished:
            try:
                made = write_report(format_, making, unfinished.file, self._progress())
                unfinished.close()
                os.replace(unfinished.name, out)
            except BaseException:
                Path(unfinished.name).unlink(missing_ok=True)
                raise
        return made

    def _progress(self) -> Any:
        """Says on stderr how far it is, each second that it takes."""
        said_at = time.monotonic()

        def progress(done: int, total: int) -> None:
            nonlocal said_at
            if time.monotonic() - said_at >= 1:
                said_at = time.monotonic()
                self.stderr.write(f"{done:,} of {total:,} steps")

        return progress
