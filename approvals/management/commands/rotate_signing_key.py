"""`manage.py rotate_signing_key`: a new key signs commit tokens; with --revoke, an old one's tokens end now."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from approvals.signing_keys import revoke, rotate
from telemetry.recorder import Actor

COMMAND = Actor("command", "", "rotate_signing_key")


class Command(BaseCommand):
    help = "Makes a new key sign commit tokens; tokens out there stay good, unless their key is named with --revoke."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--revoke", metavar="KEY_ID", default="", help="This key's tokens are refused from now on.")
        parser.add_argument("--because", default="", help="Why; the audit trail keeps it. Required with --revoke.")

    def handle(self, *args: Any, **options: Any) -> None:
        now, why = timezone.now(), options["because"].strip()
        if not options["revoke"]:
            self.stdout.write(f"{rotate(COMMAND, now, why).kid} signs from now on.")
            return
        if not why:
            raise CommandError("Say why: --because '...'. The audit trail keeps it.")
        try:
            revoked = revoke(options["revoke"], COMMAND, now, why)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        self.stdout.write(f"{revoked.kid} is revoked: its tokens are refused.")
