"""A worker that kills itself with SIGKILL while it sends alerts. Started by test_kill_sender.py.

It reads one JSON object: `point`, and `after_s`, how long after noon it is. Functions of the product are wrapped here.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import sys
from typing import Any

POINTS = ("before it leaves", "before it is recorded")


def die(*args: Any, **kwargs: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "observatory.settings")
    import django

    django.setup()
    from telemetry.delivery import sending

    given = json.load(sys.stdin)
    if given["point"] == "before it leaves":
        sending.deliver = die
    else:
        sending.record_sent = die
    now = dt.datetime.fromisoformat(given["now"])
    sending.send_due(lambda: now)


if __name__ == "__main__":
    main()
