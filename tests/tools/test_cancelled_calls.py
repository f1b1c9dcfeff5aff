"""A call that is taken back: nothing begins any more, what waits is let go, what has answered stands."""

import json
import socket
import threading
from types import SimpleNamespace

import pytest
from django.utils import timezone

from observatory.pipeline import invoke
from telemetry import egress
from telemetry.models import AuditEvent, Span
from telemetry.trace_context import continue_or_start
from tests.tools.test_http_tools import http_tool
from tools import registry
from tools.actions.tools import sync_python_tools
from tools.cancellation import Cancellation
from tools.contract import Door, ToolCall
from tools.models import IdempotencyRecord

pytestmark = pytest.mark.django_db


@pytest.fixture
def silent():
    """An endpoint that reads a request and never answers; `asked` is set once it has it."""
    listener, asked, peers = socket.create_server(("127.0.0.1", 0)), threading.Event(), []

    def serve():
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            peers.append(peer)
            peer.recv(65536)
            asked.set()

    thread = threading.Thread(target=serve)
    thread.start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{listener.getsockname()[1]}/", asked=asked)
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    for peer in peers:
        peer.close()
    listener.close()


def asked(caller, tool, arguments, cancellation, **fields):
    return invoke(
        ToolCall(
            tool_name=tool,
            arguments=arguments,
            door=Door.MCP,
            trace=continue_or_start(None),
            received_at=timezone.now(),
            credential=caller.secret,
            cancellation=cancellation,
            **fields,
        )
    )


def recorded(type_):
    return json.loads(AuditEvent.objects.get(type=type_).data)


@pytest.mark.parametrize(("read_only", "ran"), [(False, "unknown"), (True, "no")])
def test_a_call_that_waits_for_its_endpoint_is_let_go(world, silent, settings, read_only, ran):
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    http_tool(silent.url, timeout_s=60, read_only=read_only)
    cancellation = Cancellation()
    watcher = threading.Thread(target=lambda: silent.asked.wait(30) and cancellation.cancel())
    watcher.start()
    began = timezone.now()
    caller = world.caller(world.allowing("orders.*"))
    outcome = asked(caller, "orders.note", {"order_id": "1"}, cancellation)
    watcher.join()
    assert outcome.reason.code == "call_cancelled"
    assert (timezone.now() - began).total_seconds() < 20
    assert Span.objects.get(kind="tool_call").reason == "call_cancelled"
    assert recorded("call.answered" if read_only else "call.settled").get("ran", "no") == ran


def test_a_call_that_is_taken_back_before_its_tool_is_asked_never_runs(world, silent, settings):
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    http_tool(silent.url, supports_idempotency_key=True)
    cancellation = Cancellation()
    cancellation.cancel()
    caller = world.caller(world.allowing("orders.*"))
    outcome = asked(caller, "orders.note", {"order_id": "1"}, cancellation, idempotency_key="k")
    assert outcome.reason.code == "call_cancelled"
    assert not silent.asked.is_set()
    assert recorded("call.settled")["ran"] == "no"
    # The same intention may be made again.
    assert not IdempotencyRecord.objects.exists()


def test_a_connection_that_went_on_to_another_call_is_not_broken_by_the_first(settings):
    """A word that comes late finds nothing to stop."""
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    stops = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            peer, _ = listener.accept()
            with peer:
                for _ in range(2):
                    peer.recv(65536)
                    if len(stops) == 2:
                        stops[0]()
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        answers = [egress.request("GET", url, timeout_s=5, abortable=stops.append).status for _ in range(2)]
        thread.join()
    assert answers == [200, 200]


@pytest.fixture
def patient():
    """A Python tool that works until it is told to stop."""
    context_seen = []

    @registry.tool(name="patient_tool", risk="low", network="no")
    def patient_tool(gives_up: bool, context: registry.ToolContext) -> dict[str, bool]:
        """Waits to be taken back."""
        context_seen.append(context)
        context.report(1, 2, "half")
        if context.is_cancelled and gives_up:
            raise registry.ToolError("Taken back in time.")
        return {"done": True}

    yield context_seen
    del registry._registered["patient_tool"]


@pytest.mark.parametrize(("gives_up", "code", "ran"), [(True, "call_cancelled", "no"), (False, "allowed", "yes")])
def test_a_python_tool_decides_for_itself_what_a_cancelled_run_comes_to(world, patient, gives_up, code, ran):
    sync_python_tools()
    cancellation, told = Cancellation(), []

    def progress(done, total, message):
        told.append((done, total, message))
        cancellation.cancel()

    caller = world.caller(world.allowing("patient_tool"))
    outcome = asked(caller, "patient_tool", {"gives_up": gives_up}, cancellation, progress=progress)
    assert (outcome.reason.code, told) == (code, [(1, 2, "half")])
    assert recorded("call.settled")["ran"] == ran
