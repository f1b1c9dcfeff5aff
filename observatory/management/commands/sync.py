"""`manage.py sync`: after `migrate`, what an installation needs besides its tables. Safe to run again."""

from typing import Any

from django.core.management.base import BaseCommand

from observatory.groups import create_groups
from telemetry.alerts.defaults import create_default_rules
from telemetry.tasks import create_partitions
from tools.actions.tools import sync_python_tools


class Command(BaseCommand):
    help = (
        "Creates the three groups and the default alert rules, makes every @tool of the installed apps known, and "
        "creates span partitions ahead."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        create_groups()
        rules = create_default_rules()
        made = create_partitions()
        tools = sync_python_tools()
        self.stdout.write(
            f"groups: ready; alert rules made: {rules}; partitions made: {made}; tools: {tools or 'unchanged'}"
        )
