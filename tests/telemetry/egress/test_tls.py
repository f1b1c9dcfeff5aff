"""TLS towards a real server: whom we trust, and the same deadline."""

import datetime as dt
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from telemetry.egress import Kind, request
from telemetry.egress.connection import tls_context
from tests.telemetry.egress.peer import Listener, error_of, resolving, sends_for_ever


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
