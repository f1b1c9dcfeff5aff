"""Where connections to upstreams may go: as for every other request out, checked when they are made."""

import contextlib
import socket
import threading

import pytest

from tests.tools.upstreams.conftest import until
from tests.tools.upstreams.hostile import raw_server
from tools.upstreams.answers import Unreachable
from tools.upstreams.target import Target

SCHEMES = {"http": "http", "sse": "http", "websocket": "ws"}
every_transport = pytest.mark.parametrize("transport", SCHEMES)


class Listener:
    """A port that notes who connects, and what is said first."""

    def __init__(self):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.connections = 0
        self.heard = b""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            sock.settimeout(1)
            with sock, contextlib.suppress(OSError):
                self.heard += sock.recv(9000)

    def end(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


@pytest.fixture
def listener():
    listening = Listener()
    yield listening
    listening.end()


def refused(pool, target):
    with pytest.raises(Unreachable) as raised:
        pool.call(target, "t", {}, timeout_s=5)
    return str(raised.value)


def named(transport, port, host="127.0.0.1", **fields):
    return Target(1, "x", transport, url=f"{SCHEMES[transport]}://{host}:{port}/mcp?key=k3y", timeout_s=3, **fields)


@every_transport
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "rebound.example"])
def test_an_address_is_called_only_where_the_operator_opened_it(pool, settings, listener, monkeypatch, transport, host):
    look_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda name, *rest, **more: look_up("127.0.0.1" if "." in name else name, *rest, **more)
    )
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8", "::1/128"]
    refused(pool, named(transport, listener.port, host))
    assert listener.connections
    listener.connections = 0
    pool.close()
    settings.EGRESS_ALLOWED_NETWORKS = []
    assert "loopback" in refused(pool, named(transport, listener.port, host))
    assert not listener.connections


@every_transport
def test_one_refused_address_among_several_refuses_the_name(pool, listener, settings, monkeypatch, transport):
    rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 1)) for address in ("127.0.0.1", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: rows)
    assert "10.0.0.1" in refused(pool, named(transport, listener.port, "two.example"))
    assert not listener.connections


@every_transport
def test_proxies_of_the_environment_are_not_used(pool, listener, monkeypatch, transport):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "WS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{listener.port}")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    refused(pool, named(transport, port))
    assert not listener.connections


@every_transport
def test_a_certificate_that_nobody_vouches_for_is_refused_and_nothing_is_said(pool, listener, transport):
    target = named(transport, listener.port, headers=(("Authorization", "Bearer s3cret"),))
    secured = type(target)(
        1, "x", transport, url=target.url.replace("://", "s://"), headers=target.headers, timeout_s=2
    )
    refused(pool, secured)
    until(lambda: listener.heard)
    assert b"s3cret" not in listener.heard


@every_transport
def test_what_is_shown_is_the_targets_headers_and_no_compression_is_asked_for(pool, listener, transport):
    refused(pool, named(transport, listener.port, headers=(("Authorization", "Bearer s3cret"),)))
    first = listener.heard.lower()
    assert b"authorization: bearer s3cret" in first
    assert b"user-agent: mcp-observatory" in first
    assert b"gzip" not in first
    assert b"permessage-deflate" not in first
    assert (b"accept-encoding: identity" in first) == (transport != "websocket")


@every_transport
@pytest.mark.parametrize("headers", [(("Host", "x"),), (("X", "a\r\nY: b"),)])
def test_a_header_that_is_not_the_targets_to_set_refuses(pool, listener, transport, headers):
    refused(pool, named(transport, listener.port, headers=headers))
    assert not listener.connections


@pytest.mark.parametrize(
    ("transport", "url"),
    [
        ("http", "ftp://127.0.0.1/"),
        ("http", "http://user:pass@127.0.0.1/"),
        ("http", ""),
        ("websocket", "http://127.0.0.1/"),
        ("websocket", "ws://127.0.0.1:0/"),
        ("sse", "http://127.0.0.1:99999/"),
        ("carrier pigeon", "http://127.0.0.1/"),
    ],
)
def test_a_url_that_is_none_is_not_reached(pool, transport, url):
    said = refused(pool, Target(1, "x", transport, url=url))
    assert "pass" not in said.replace("password", "")


@every_transport
def test_nothing_that_is_said_names_the_query(pool, listener, transport):
    assert "k3y" not in refused(pool, named(transport, listener.port))


@every_transport
@pytest.mark.parametrize("status", ["302 Found", "307 Temporary Redirect"])
def test_no_redirect_is_followed(pool, listener, transport, status):
    elsewhere = f"HTTP/1.1 {status}\r\nLocation: {SCHEMES[transport]}://127.0.0.1:{listener.port}/\r\n"
    answer = (elsewhere + "Content-Length: 0\r\nConnection: close\r\n\r\n").encode()

    def redirect(sock):
        sock.recv(9000)
        sock.sendall(answer)

    listening, target = raw_server(redirect)
    refused(pool, named(transport, int(target.url.rpartition(":")[2].partition("/")[0])))
    listening.close()
    assert not listener.connections
