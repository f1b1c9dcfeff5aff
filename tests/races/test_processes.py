"""Several server processes: a switch reaches all within a second; kill -9 under load loses no answered call."""

import threading
import time

import pytest
from mcp_observatory import ObservatoryError, ToolClient

from observatory.demo.models import Ticket
from telemetry.models import AuditEvent, Span
from telemetry.recorder import SYSTEM
from tests.serving import Server, serving
from tools.actions.policies import publish
from tools.actions.switches import engage
from tools.models import IdempotencyRecord, KillSwitch

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race, pytest.mark.slow]
WITHIN_S = 1.0


def code_of(client, tool="search_customer", arguments=None, **more):
    try:
        client.call(tool, arguments or {"query": "acme"}, **more)
    except ObservatoryError as error:
        return getattr(error, "code", type(error).__name__)
    return "ran"


@pytest.mark.alone
@pytest.mark.parametrize("change", ["freeze", "revoke", "policy"])
def test_a_change_is_in_force_in_every_process_within_a_second(world, tmp_path, change):
    from django.utils import timezone

    from tools.actions.agents import revoke_key

    policy = world.allowing()
    caller = world.caller(policy)
    with (
        serving(tmp_path) as one,
        serving(tmp_path) as other,
        ToolClient(one.url, caller.secret, retries=0) as first,
        ToolClient(other.url, caller.secret, retries=0) as second,
    ):
        clients = [first, second]
        assert [code_of(client) for client in clients] == ["ran", "ran"]
        world.add_rules(
            policy, {"tools": "search_customer", "effect": "deny", "conditions": [("args.query", "is_present", "")]}
        )
        acts = {
            "freeze": lambda: engage(KillSwitch(scope="everything", reason="INC-7"), SYSTEM),
            "revoke": lambda: revoke_key(caller.key, SYSTEM, timezone.now()),
            "policy": lambda: publish(policy, SYSTEM),
        }
        acts[change]()
        done = time.monotonic()
        expected = {"freeze": "frozen", "revoke": "unauthenticated", "policy": "denied_policy"}[change]
        assert [code_of(client) for client in clients] == [expected, expected]
        assert time.monotonic() - done < WITHIN_S


def test_kill_9_under_load_loses_no_answered_call_and_runs_nothing_twice(world, tmp_path):
    caller = world.caller(world.allowing())
    server = Server(tmp_path, workers=2).start()
    answered: dict[str, tuple[int, str]] = {}
    stop = threading.Event()

    def load(worker):
        number = 0
        client = ToolClient(server.url, caller.secret, retries=0)
        while not stop.is_set():
            number += 1
            key = f"{worker}-{number}"
            try:
                result = client.call("create_ticket", {"customer_id": world.acme.pk, "title": key}, idempotency_key=key)
            except ObservatoryError:
                stop.wait(0.02)
                continue
            answered[key] = (result["ticket"]["id"], result.trace_id)
        client.close()

    threads = [threading.Thread(target=load, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            enough = len(answered) + 40
            deadline = time.monotonic() + 30
            while len(answered) < enough and time.monotonic() < deadline:
                stop.wait(0.01)
            server.kill()
            server.start()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    server.stop()

    assert len(answered) >= 160
    traces = {trace for _, trace in answered.values()}
    for type_ in ("call.intended", "call.settled"):
        assert traces <= set(AuditEvent.objects.filter(type=type_).values_list("trace_id", flat=True))
    assert traces <= set(Span.objects.values_list("trace_id", flat=True))
    titles = list(Ticket.objects.values_list("title", flat=True))
    assert len(titles) == len(set(titles))
    # What was cut off has its intent on record, and its key does not run again.
    intended = set(AuditEvent.objects.filter(type="call.intended").values_list("trace_id", flat=True))
    settled = set(AuditEvent.objects.filter(type="call.settled").values_list("trace_id", flat=True))
    assert settled <= intended
    running = IdempotencyRecord.objects.filter(status="running")
    assert running.count() == len(intended - settled)
    for record in running[:5]:
        again = caller.call(
            "create_ticket", {"customer_id": world.acme.pk, "title": record.key}, Idempotency_Key=record.key
        )
        assert again.status_code == 409
