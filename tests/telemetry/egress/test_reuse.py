"""Connections that are kept: used again only where they can be trusted."""

import contextlib
import os
import threading
import time
from collections.abc import Callable

import pytest
from pytest_django import Settings

from telemetry.egress import Kind, request
from tests.telemetry.egress.peer import OK, Listener, error_of, sends


@pytest.mark.usefixtures("opened")
def test_request_reuses_the_connection_when_the_answer_was_read(listen: Callable[..., Listener]) -> None:
    listener = listen()
    for _ in range(5):
        assert request("GET", listener.url()).body == b"{}"
    assert (listener.accepted, len(listener.requests)) == (1, 5)


@pytest.mark.usefixtures("opened")
def test_request_connects_anew_when_the_connection_can_not_be_trusted(listen: Callable[..., Listener]) -> None:
    for answer in (
        sends(OK, close=True),
        sends(OK.replace(b"Content-Length", b"Connection: close\r\nContent-Length"), close=True),
        sends(OK, b"HTTP/1.1 200 OK\r\n", every_s=0.02),
    ):
        listener = listen(answer)
        for _ in range(2):
            request("GET", listener.url())
            time.sleep(0.05)
        assert (listener.accepted, len(listener.requests)) == (2, 2)


def test_request_refuses_when_the_network_was_closed_since_the_connection_opened(
    listen: Callable[..., Listener], settings: Settings
) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    listener = listen()
    request("GET", listener.url())
    settings.EGRESS_ALLOWED_NETWORKS = []
    assert error_of(listener.url()).kind is Kind.REFUSED_ADDRESS
    assert len(listener.requests) == 1


@pytest.mark.usefixtures("opened")
def test_request_shares_no_connection_when_threads_call_at_once(listen: Callable[..., Listener]) -> None:
    listener = listen(sends(OK, every_s=0.01))
    bodies: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: bodies.extend(request("GET", listener.url()).body for _ in range(10)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bodies == [b"{}"] * 80
    assert listener.accepted <= 8


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("opened")
def test_request_opens_its_own_connection_when_the_process_forked(listen: Callable[..., Listener]) -> None:
    listener = listen()
    request("GET", listener.url())
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            status = 0 if request("GET", listener.url()).body == b"{}" else 1
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    request("GET", listener.url())
    assert (listener.accepted, len(listener.requests)) == (2, 3)
