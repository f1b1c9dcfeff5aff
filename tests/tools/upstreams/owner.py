"""A process that calls an upstream and ends as its first argument says; what it finds out it writes as JSON lines."""

import json
import os
import signal
import sys
import time
from importlib import import_module

import django
from django.conf import settings

settings.configure(EGRESS_ALLOWED_NETWORKS=["127.0.0.0/8"], INSTALLED_APPS=["telemetry.apps.TelemetryConfig"])
django.setup()

# After the settings, which they read.
POOL, Target = import_module("tools.upstreams.pool").POOL, import_module("tools.upstreams.target").Target

way, transport, where = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
target = Target(1, "tested", transport, url=where if isinstance(where, str) else "", command=tuple(where))


def pid() -> int:
    return int(POOL.call(target, "where", {}, timeout_s=20).structured["pid"])


def say(**found: object) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


first = pid()
say(pid=first)
if way == "fork":
    if not (child := os.fork()):
        try:
            say(child=pid())
            POOL.close()
        finally:
            os._exit(0)
    say(parent=pid())
    os.waitpid(child, 0)
    say(after=pid())
elif way == "forked holder":
    # The child outlives the parent and never calls; it must not keep the parent's pipes open.
    if not os.fork():
        for number in (0, 1, 2):
            os.close(number)
        time.sleep(5)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)
elif way == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
elif way == "term":
    os.kill(os.getpid(), signal.SIGTERM)
