"""A process that kills itself with SIGKILL at a given point of a run. Started by test_kill_commit.py.

It reads one JSON object: `point`, `runs`. Each run dies in a process of its own: a commit where it names a proposal,
else one sweep of what was cut off. It writes the signal that ended each. Functions of the product are wrapped here.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

POINTS = ("before the intent", "before the effect", "after the effect", "after the record")


def die(*args: Any, **kwargs: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_after(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)
        die()

    return call


def set_trap(point: str) -> None:
    """Whoever runs what was burnt dies there."""
    from observatory import approved, committed, pipeline

    if point == "before the intent":
        approved.run_permitted = committed.run_permitted = die
    elif point == "before the effect":
        pipeline._execute = die
    elif point == "after the effect":
        pipeline.settle = die
    else:
        pipeline.settle = dying_after(pipeline.settle)


def run(given: dict[str, Any]) -> None:
    from django.test import Client

    from observatory.tasks import recover_actions

    if "proposal_id" not in given:
        recover_actions()
        return
    body = {"commit_token": given["commit_token"], "args": given["tool_args"]}
    path, headers = f"/proposals/{given['proposal_id']}/commit", {"X-API-Key": given["secret"]}
    if given.get("idempotency_key"):
        headers["Idempotency-Key"] = given["idempotency_key"]
    answer = Client().post(path, json.dumps(body), content_type="application/json", headers=headers)
    sys.stderr.write(f"it lived: {answer.status_code} {answer.content!r}\n")


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "observatory.settings")
    import django

    django.setup()
    given = json.load(sys.stdin)
    set_trap(given["point"])
    ended = []
    for one in given["runs"]:
        child = os.fork()
        if child == 0:
            run(one)
            sys.stderr.flush()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        ended.append(-os.waitstatus_to_exitcode(status))
    json.dump(ended, sys.stdout)


if __name__ == "__main__":
    main()
