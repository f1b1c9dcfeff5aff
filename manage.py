#!/usr/bin/env python
"""Django's command line. `manage.py demo` brings its own environment; every other command needs one."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "observatory.settings")
    if sys.argv[1:2] == ["demo"]:
        from observatory.demo.environment import prepare

        prepare(sys.argv[2:])
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
