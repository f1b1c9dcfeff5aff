"""The issuer's keys: found, kept, asked for again seldom; believed for an hour while it is down, then not at all."""

import threading

import pytest

from telemetry.models import AuditEvent, RefusalCount
from tests.issuer import KEYS, METADATA, public_jwk
from tests.journeys.access_tokens import FINE, REFUSED, ask, caller, issuer, verdict
from tools.access_tokens import issuer as issuer_module
from tools.access_tokens import trusted
from tools.access_tokens.discovery import DiscoveryError, fetch_key_set, metadata_urls

__all__ = ("caller", "issuer")
pytestmark = pytest.mark.django_db
DOWN = (503, "part_unavailable")


@pytest.fixture
def clock(monkeypatch):
    """Time that passes when a test says so."""

    class Clock:
        now = 1_000.0

        def pass_by(self, seconds):
            self.now += seconds

    running = Clock()
    monkeypatch.setattr(issuer_module, "monotonic", lambda: running.now)
    return running


def test_keys_are_asked_for_again_when_they_are_no_longer_fresh(caller, issuer, clock):
    token = issuer.token()
    for seconds, asked in ((0, 1), (599, 1), (1, 2), (599, 2)):
        clock.pass_by(seconds)
        assert verdict(ask(token)) == FINE
        assert issuer.hits.count(KEYS) == asked


def test_a_new_key_is_found_and_random_key_ids_cost_the_issuer_nothing(caller, issuer, clock):
    old = issuer.token()
    assert verdict(ask(old)) == FINE
    issuer.rotate("k2")
    assert verdict(ask(issuer.token("k2"))) == REFUSED
    clock.pass_by(61)
    assert verdict(ask(issuer.token("k2"))) == FINE
    assert verdict(ask(old)) == REFUSED
    asked = len(issuer.hits)
    for number in range(20):
        assert verdict(ask(issuer.token("k2", header={"kid": f"random-{number}"}))) == REFUSED
    assert len(issuer.hits) == asked
    clock.pass_by(61)
    for number in range(20):
        ask(issuer.token("k2", header={"kid": f"random-{number}"}))
    assert issuer.hits[asked:].count(KEYS) == 1


def test_a_key_that_the_issuer_takes_back_verifies_nothing_more_though_it_was_remembered(caller, issuer, clock):
    token = issuer.token()
    assert verdict(ask(token)) == FINE
    issuer.published = []
    clock.pass_by(601)
    assert verdict(ask(token)) == REFUSED


def test_while_the_issuer_is_down_its_keys_are_believed_for_an_hour(caller, issuer, clock):
    token = issuer.token()
    assert verdict(ask(token)) == FINE
    issuer.status = 500
    clock.pass_by(3_599)
    assert verdict(ask(token)) == FINE
    # Whether this key is the issuer's can't be known now.
    assert verdict(ask(issuer.token(header={"kid": "new"}))) == DOWN
    clock.pass_by(1)
    answer = ask(token)
    assert verdict(answer) == DOWN
    assert (answer["Retry-After"], "WWW-Authenticate" in answer) == ("5", False)
    assert not AuditEvent.objects.filter(type="call.denied").exists()
    assert RefusalCount.objects.get(reason="part_unavailable").count == 2
    assert caller.call("search_customer", {"query": "a"}).status_code == 200
    issuer.status = 200
    clock.pass_by(60)
    assert verdict(ask(token)) == FINE


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 302},
        {"status": 404},
        {"metadata": {"issuer": "https://another.example.com"}},
        {"metadata": {"jwks_uri": None}},
        {"metadata": {"jwks_uri": "file:///etc/passwd"}},
        {"metadata": {"jwks_uri": "http://169.254.169.254/keys"}},
        {"body": b"not JSON"},
        {"body": b"[" * 10_000},
        {"body": b'{"keys": []}' + b" " * 300_000},
        {"published": [{}] * 101},
        {"published": "none"},
    ],
    ids=lambda fault: str(fault)[:60],
)
def test_keys_of_an_issuer_that_is_wrong_are_not_taken(issuer, settings, fault):
    assert fetch_key_set(trusted()).keys
    for name, value in fault.items():
        setattr(issuer, name, value)
    with pytest.raises(DiscoveryError):
        fetch_key_set(trusted())


def test_nothing_is_fetched_without_https_outside_the_demonstration(issuer, settings):
    settings.DEMO = False
    with pytest.raises(DiscoveryError):
        fetch_key_set(trusted())
    assert issuer.hits == []


def test_an_issuer_whose_address_is_private_is_not_called_unless_it_is_opened(issuer, settings):
    settings.EGRESS_ALLOWED_NETWORKS = []
    with pytest.raises(DiscoveryError):
        fetch_key_set(trusted())
    assert issuer.hits == []


def test_the_address_of_the_keys_can_be_given(issuer, settings):
    settings.OAUTH_JWKS_URL = issuer.url + KEYS
    assert fetch_key_set(trusted()).keys
    assert issuer.hits == [KEYS]


@pytest.mark.parametrize(
    ("issuer_name", "places"),
    [
        ("https://a.example", ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]),
        ("https://a.example/", ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]),
        (
            "https://a.example/t/1",
            [
                "/.well-known/oauth-authorization-server/t/1",
                "/t/1/.well-known/openid-configuration",
                "/.well-known/openid-configuration/t/1",
            ],
        ),
    ],
)
def test_metadata_is_looked_for_where_the_standards_say(issuer_name, places):
    assert metadata_urls(issuer_name) == [f"https://a.example{place}" for place in places]


def test_a_herd_asks_once_and_most_of_it_does_not_wait(issuer):
    issuer.waits = True
    keys, answers = issuer_module.IssuerKeys(trusted()), []

    def want():
        try:
            answers.append(keys.current())
        except issuer_module.IssuerUnavailableError as error:
            answers.append(error)

    threads = [threading.Thread(target=want) for _ in range(20)]
    for thread in threads:
        thread.start()
    # All but the one that asks and the four that may wait for it are answered while the issuer is still silent.
    for thread in threads:
        thread.join(0.2)
        if sum(not other.is_alive() for other in threads) == 15:
            break
    at_once = list(answers)
    issuer.go_on.set()
    for thread in threads:
        thread.join(10)
    assert [type(answer) for answer in at_once] == [issuer_module.IssuerUnavailableError] * 15
    assert [answer.keys.keys() for answer in answers[15:]] == [{("k1", "ES256"): 0}.keys()] * 5
    assert issuer.hits == [METADATA, KEYS]


def test_while_one_asks_again_the_others_go_on_with_what_is_held(issuer, clock):
    keys = issuer_module.IssuerKeys(trusted())
    held = keys.current()
    issuer.published.append(public_jwk("k2", issuer.signing["k1"]))
    issuer.waits = True
    clock.pass_by(601)
    asking = threading.Thread(target=keys.current)
    asking.start()
    while len(issuer.hits) < 3:
        asking.join(0.01)
    assert keys.current() is held
    issuer.go_on.set()
    asking.join(10)
    assert keys.current() is not held
