"""The one way out, against real servers: what is refused never reaches a listener, what is allowed does."""

import contextlib
import datetime as dt
import gzip
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from telemetry.egress import EgressError, Kind, Response, check_url, request
from telemetry.egress.addresses import refusal
from telemetry.egress.connection import tls_context
from telemetry.egress.pool import pool

Answer = Callable[[socket.socket], None]


class Listener:
    """A real server on loopback: counts connections and requests, and answers each request by `answer`."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None, family: int = socket.AF_INET) -> None:
        self.answer, self.context = answer, context
        self.accepted = 0
        self.requests: list[bytes] = []
        self.stopping = False
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self.sock.listen()
        self.port: int = self.sock.getsockname()[1]
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self) -> None:
        while True:
            conn, _ = self.sock.accept()
            if self.stopping:
                conn.close()
                return
            self.accepted += 1
            thread = threading.Thread(target=self._serve, args=(conn,))
            self.threads.append(thread)
            thread.start()

    def _serve(self, conn: socket.socket) -> None:
        conn.settimeout(10)
        with contextlib.suppress(OSError):
            if self.context is not None:
                conn = self.context.wrap_socket(conn, server_side=True)
            while head := _read_request(conn):
                self.requests.append(head)
                self.answer(conn)
        with contextlib.suppress(OSError):
            conn.shutdown(socket.SHUT_RDWR)
        conn.close()

    def url(self, path: str = "/", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def stop(self) -> None:
        self.stopping = True
        with contextlib.suppress(OSError), socket.create_connection(self.sock.getsockname()[:2]):
            pass
        for thread in list(self.threads):
            thread.join(10)
        self.sock.close()


def _read_request(conn: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (part := conn.recv(65536)):
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line[15:]):
                body += conn.recv(65536)
    return head + b"\r\n\r\n" + body


def sends(*parts: bytes, every_s: float = 0.0, close: bool = False) -> Answer:
    def answer(conn: socket.socket) -> None:
        for part in parts:
            conn.sendall(part)
            time.sleep(every_s)
        if close:
            raise OSError

    return answer


def sends_for_ever(head: bytes, part: bytes, every_s: float = 0.0) -> Answer:
    def answer(conn: socket.socket) -> None:
        conn.sendall(head)
        while True:
            conn.sendall(part)
            time.sleep(every_s)

    return answer


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
FINE = sends(OK)


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def start(answer: Answer = FINE, **options: Any) -> Listener:
        listeners.append(Listener(answer, **options))
        return listeners[-1]

    yield start
    pool.close()
    for listener in listeners:
        listener.stop()


@pytest.fixture
def opened(settings: Settings) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def closed(settings: Settings) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = []


def error_of(url: str, method: str = "GET", **options: Any) -> EgressError:
    with pytest.raises(EgressError) as refusal:
        request(method, url, **options)
    assert "S3CRET" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    return refusal.value


def resolving(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[str]]) -> list[str]:
    """The system's resolver, with these names added; the names that it was asked for."""
    real, asked = socket.getaddrinfo, []

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        if host not in answers:
            return real(host, port, *args, **kwargs)
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in answers[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


# --- addresses ---

TRICKS = [
    *(
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "017700000001",
        "localhost",
        "localhost.",
        "127.0.0.1.",
    ),
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]", "[::1]", "name.test", "mapped.test", "mixed.test"),
]


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("host", TRICKS)
def test_request_reaches_no_listener_when_the_host_is_loopback_in_any_form(
    host: str, listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {
        "name.test": ["127.0.0.1"],
        "mapped.test": ["::ffff:127.0.0.1"],
        "mixed.test": ["93.184.216.34", "127.0.0.1"],
    }
    resolving(monkeypatch, names)
    listener = listen()
    error = error_of(listener.url("/p?q=S3CRET", host))
    assert (error.kind, error.written) in {(Kind.REFUSED_ADDRESS, False), (Kind.UNREACHABLE, False)}
    if not host.endswith("."):  # some resolvers know no absolute form of these
        assert error.kind is Kind.REFUSED_ADDRESS
    assert listener.accepted == 0


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "localhost", "name.test"])
def test_request_reaches_the_listener_when_its_network_is_opened(
    host: str, listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, {"name.test": ["127.0.0.1"], "localhost": ["127.0.0.1"]})
    listener = listen()
    assert request("GET", listener.url("/p", host)).status == 200
    assert listener.accepted == 1


REFUSED = [
    *(
        "169.254.169.254",
        "169.254.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "0.0.0.0",
    ),
    *(
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::",
    ),
    *(
        "::1",
        "::ffff:169.254.169.254",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "ff02::1",
    ),
    *("64:ff9b:1::1", "2002:7f00:1::", "2001:0:4136:e378::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254"),
    *("2001:db8::1", "100::1", "fec0::1", "4000::1", "127.0.0.1", "nonsense"),
]


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("address", REFUSED)
def test_refusal_says_why_when_an_address_is_not_public(address: str) -> None:
    assert refusal(address)


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize(
    "address", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "169.253.0.1"]
)
def test_refusal_is_none_when_an_address_is_public(address: str) -> None:
    assert refusal(address) is None


def test_refusal_follows_the_setting_when_it_changes(settings: Settings) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = ["10.1.0.0/16", "fd00::/64"]
    assert [refusal(a) for a in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1")] == [None, None, None]
    assert refusal("10.2.2.3") == "private"
    settings.EGRESS_ALLOWED_NETWORKS = ["everything"]
    assert error_of("http://8.8.8.8/").kind is Kind.REFUSED_ADDRESS


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[64:ff9b::7f00:1]", "metadata.test"])
def test_request_refuses_when_the_host_is_a_metadata_service(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, {"metadata.test": ["169.254.169.254"]})
    error = error_of(f"http://{host}/latest/meta-data/?S3CRET", timeout_s=1)
    assert (error.kind, error.written) == (Kind.REFUSED_ADDRESS, False)


@pytest.mark.usefixtures("opened")
def test_request_resolves_once_when_it_connects(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolving(monkeypatch, {"name.test": ["127.0.0.1"]})
    listener = listen()
    request("GET", listener.url(host="name.test"))
    assert asked == ["name.test"]
    assert f"host: name.test:{listener.port}".encode() in listener.requests[0].lower()


BAD_URLS = [
    *(
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://example.com/",
        "unix:///run/x.sock",
        "",
        "example.com",
        "//x/",
    ),
    *(
        "http://",
        "http:///path",
        "http://alice:S3CRET@example.com/",
        "http://alice@example.com/",
        "http://a b/",
        "http://x\\@y/",
    ),
    *(
        "http://example.com\r\nX: y/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://[::1/",
        "http://x/" + "a" * 9000,
    ),
    "javascript:alert(1)",
]


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("url", BAD_URLS)
def test_request_refuses_when_the_url_is_not_plain_http(url: str) -> None:
    error = error_of(url)
    assert (error.kind, error.written) == (Kind.BAD_URL, False)
    assert check_url(url) == error.detail


def test_check_url_says_early_what_connecting_would_refuse(settings: Settings) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = []
    assert check_url("https://example.com/hook") is None
    for url in ("http://127.0.0.1/", "http://[::1]:8000/", "http://[::ffff:10.0.0.1]/", "http://169.254.169.254/x"):
        assert check_url(url)
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    assert check_url("http://127.0.0.1/") is None


# --- answers ---


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


# --- reuse ---


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


# --- TLS ---


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 and name.test, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("name.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls_context.cache_clear()
    yield
    tls_context.cache_clear()


@pytest.mark.usefixtures("opened", "trusted")
def test_request_speaks_tls_and_reuses_it_when_the_certificate_is_trusted(
    listen: Callable[..., Listener], server_context: ssl.SSLContext
) -> None:
    listener = listen(context=server_context)
    for _ in range(3):
        assert request("GET", listener.url(scheme="https")).body == b"{}"
    assert (listener.accepted, len(listener.requests)) == (1, 3)


@pytest.mark.usefixtures("opened", "trusted")
def test_request_refuses_when_the_certificate_is_another_host_s(
    listen: Callable[..., Listener], server_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, {"name.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]})
    listener = listen(context=server_context)
    assert request("GET", listener.url(host="name.test", scheme="https")).status == 200
    error = error_of(listener.url(host="other.test", scheme="https"))
    assert (error.kind, error.written) == (Kind.UNREACHABLE, False)
    assert "certificate" in error.detail
    assert len(listener.requests) == 1


@pytest.mark.usefixtures("opened")
def test_request_refuses_when_the_certificate_is_not_trusted(
    listen: Callable[..., Listener], server_context: ssl.SSLContext
) -> None:
    listener = listen(context=server_context)
    error = error_of(listener.url(scheme="https"))
    assert (error.kind, error.written) == (Kind.UNREACHABLE, False)
    assert listener.requests == []


@pytest.mark.usefixtures("opened", "trusted")
@pytest.mark.parametrize("where", ["handshake", "body"])
def test_request_ends_at_the_deadline_when_a_tls_peer_drips(
    where: str, listen: Callable[..., Listener], server_context: ssl.SSLContext
) -> None:
    drips = sends_for_ever(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x", 0.05)
    listener = listen(drips, context=server_context)
    port = listener.port
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        if where == "handshake":
            port = silent.getsockname()[1]
        begin = time.monotonic()
        error = error_of(f"https://127.0.0.1:{port}/", timeout_s=0.5)
    assert (error.kind, error.written) == (Kind.TIMEOUT, where == "body")
    assert 0.4 < time.monotonic() - begin < 1.0
