"""Which addresses the one way out refuses: what is refused never reaches a listener, what is allowed does."""

from collections.abc import Callable

import pytest
from pytest_django import Settings

from telemetry.egress import Kind, check_url, request
from telemetry.egress.addresses import refusal
from tests.telemetry.egress.peer import Listener, error_of, resolving

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
