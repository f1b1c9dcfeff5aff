"""What each answer, and each missing one, means: bounded in time and size, and whether it may have run."""

import gzip
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from telemetry.egress import Kind, Response, request
from tests.telemetry.egress.peer import Answer, Listener, error_of, resolving, sends, sends_for_ever


@pytest.mark.usefixtures("opened")
def test_request_brings_the_whole_answer_when_all_is_well(listen: Callable[..., Listener]) -> None:
    chunked = (
        b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nX-Odd: 1\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    listener = listen(sends(chunked))
    response = request("POST", listener.url("/a%20b?q=1#f"), headers={"X-Key": "k"}, body=b"payload")
    assert isinstance(response, Response)
    assert (response.status, response.body, response.headers["x-odd"]) == (404, b"abcde", "1")
    head = listener.requests[0]
    assert head.startswith(b"POST /a%20b?q=1 HTTP/1.1\r\n")
    assert head.endswith(b"\r\n\r\npayload")
    assert b"Accept-Encoding: identity\r\n" in head
    assert b"X-Key: k\r\n" in head


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (
            sends(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/S3CRET\r\nContent-Length: 0\r\n\r\n"),
            Kind.REDIRECT_REFUSED,
        ),
        (sends(b"HTTP/1.1 308 Moved\r\nLocation: file:///S3CRET\r\nContent-Length: 0\r\n\r\n"), Kind.REDIRECT_REFUSED),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n"), Kind.TOO_LARGE),
        (sends_for_ever(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 9999), Kind.TOO_LARGE),
        (sends_for_ever(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 999), Kind.TOO_LARGE),
        (sends_for_ever(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", b"x" * 9999), Kind.TOO_LARGE),
        (sends_for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99), Kind.TOO_LARGE),
        (
            sends(
                b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"
                + gzip.compress(bytes(10_000_000)),
                close=True,
            ),
            Kind.BAD_RESPONSE,
        ),
        (sends(b"S3CRET is no HTTP\r\n\r\n", close=True), Kind.BAD_RESPONSE),
        (sends(close=True), Kind.BAD_RESPONSE),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", close=True), Kind.BAD_RESPONSE),
        (sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", close=True), Kind.BAD_RESPONSE),
    ],
    ids=[
        "redirect",
        "redirect to a file",
        "long",
        "endless",
        "endless chunks",
        "chunk of -1",
        "endless 100",
        "gzip bomb",
        "not HTTP",
        "closes",
        "half a body",
        "bad chunk",
    ],
)
def test_request_ends_and_says_it_may_have_run_when_the_answer_is_bad(
    answer: Answer, kind: Kind, listen: Callable[..., Listener]
) -> None:
    listener = listen(answer)
    error = error_of(listener.url("/p?q=S3CRET"), "POST", headers={"X-Key": "S3CRET"}, body=b"S3CRET", timeout_s=5)
    assert (error.kind, error.written) == (kind, True)
    assert (listener.accepted, len(listener.requests)) == (1, 1)


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(
    "answer",
    [
        sends_for_ever(b"", b"H", 0.05),
        sends_for_ever(b"HTTP/1.1 200 OK\r\nX: ", b"y", 0.05),
        sends_for_ever(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x", 0.05),
        sends_for_ever(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.05),
        lambda conn: time.sleep(1),
    ],
    ids=["status line", "header", "body", "chunks", "silence"],
)
def test_request_ends_at_the_deadline_when_the_peer_drips(answer: Answer, listen: Callable[..., Listener]) -> None:
    listener = listen(answer)
    begin = time.monotonic()
    error = error_of(listener.url(), timeout_s=0.4)
    assert (error.kind, error.written) == (Kind.TIMEOUT, True)
    assert 0.35 < time.monotonic() - begin < 0.9


@pytest.mark.usefixtures("opened")
def test_request_ends_at_the_deadline_when_the_peer_reads_nothing(listen: Callable[..., Listener]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begin = time.monotonic()
        error = error_of(f"http://127.0.0.1:{silent.getsockname()[1]}/", "POST", body=bytes(50_000_000), timeout_s=0.4)
    assert (error.kind, error.written) == (Kind.TIMEOUT, True)
    assert time.monotonic() - begin < 0.9


@pytest.mark.usefixtures("opened")
def test_request_ends_at_the_deadline_when_the_resolver_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: release.wait(10) and [])
    begin = time.monotonic()
    error = error_of("http://name.test/", timeout_s=0.3)
    release.set()
    assert (error.kind, error.written) == (Kind.TIMEOUT, False)
    assert time.monotonic() - begin < 0.8


@pytest.mark.usefixtures("opened")
def test_request_says_nothing_ran_when_it_never_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    error = error_of(f"http://127.0.0.1:{port}/?S3CRET")
    assert (error.kind, error.written) == (Kind.UNREACHABLE, False)

    def fails(*args: Any, **kwargs: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    error = error_of("http://name.test/?S3CRET")
    assert (error.kind, error.written) == (Kind.UNREACHABLE, False)


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"X-Key": "S3CRET\r\nX-Evil: 1"}),
        ("GET", {"X Key": "S3CRET"}),
        ("GET", {"X-Key": "S3CRET漢"}),
        ("GET / HTTP/1.1\r\nX", {}),
        ("GET", {"Host": "S3CRET"}),
        ("GET", {"transfer-encoding": "chunked"}),
    ],
)
def test_request_sends_nothing_when_a_header_or_the_method_is_not_http(
    method: str, headers: dict[str, str], listen: Callable[..., Listener]
) -> None:
    listener = listen()
    error = error_of(listener.url(), method, headers=headers)
    assert (error.kind, error.written) == (Kind.BAD_URL, False)
    assert listener.requests == []


@pytest.mark.usefixtures("opened")
def test_request_tries_the_next_address_when_one_is_dead(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, {"name.test": ["127.0.0.2", "127.0.0.1"]})
    listener = listen()
    assert request("GET", listener.url(host="name.test"), timeout_s=2).status == 200


@pytest.mark.usefixtures("opened")
def test_request_ignores_proxies_when_the_environment_names_them(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, listener = listen(), listen()
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url())
    assert request("GET", listener.url()).status == 200
    assert (proxy.accepted, listener.accepted) == (0, 1)
