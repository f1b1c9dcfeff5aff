"""Access tokens at the doors: whose they are, what they may do, and how soon an operator's act is in force."""

import datetime as dt

import pytest
from django.utils import timezone

from telemetry.models import AuditEvent, RefusalCount, Span
from telemetry.recorder import SYSTEM
from tests.journeys.access_tokens import (
    DOORS,
    FINE,
    REFUSED,
    ask,
    caller,
    issuer,
    mapped,
    verdict,
)
from tests.tools.test_http_tools import endpoint, http_tool
from tools.actions.access_subjects import change_subject, unmap_subject
from tools.actions.agents import change_key, revoke_key, rotate_key
from tools.actions.switches import engage
from tools.models import AgentKey, KillSwitch, UnmappedSubject
from tools.scopes import Scope

__all__ = ("caller", "endpoint", "issuer")
pytestmark = pytest.mark.django_db


# whose token it is


def test_a_token_of_a_mapped_subject_acts_as_its_key(caller, issuer):
    token = issuer.token()
    assert {path: verdict(ask(token, path)) for path in DOORS} == dict.fromkeys(DOORS, FINE)
    assert issuer.hits == ["/.well-known/oauth-authorization-server", "/keys"]


def test_what_is_recorded_names_key_and_subject(caller, issuer):
    token = issuer.token()
    ask(token)
    event, span = AuditEvent.objects.get(type="call.answered"), Span.objects.get()
    assert (event.actor_id, event.actor) == (caller.key.public_id, "billing-agent")
    assert event.facts["access_subject"] == "subject alice-at-the-issuer by client chat-app"
    assert (span.agent_key, span.access_subject) == (caller.key.public_id, event.facts["access_subject"])
    caller.call("search_customer", {"query": "a"})
    assert "access_subject" not in AuditEvent.objects.filter(type="call.answered").latest("id").facts


def test_a_subject_is_judged_before_its_client_and_stays_so_once_it_was_mapped(world, caller, issuer):
    other = world.caller(caller.key.policy, name="chat-agent")
    mapped(issuer, other.key, "chat-app", kind="client")
    ask(issuer.token())
    ask(issuer.token(sub="bob"))
    assert [span.agent for span in Span.objects.order_by("start_time")] == ["billing-agent", "chat-agent"]
    unmap_subject(caller.key.access_subjects.get(), SYSTEM, timezone.now())
    assert verdict(ask(issuer.token())) == (403, "subject_not_mapped")
    assert verdict(ask(issuer.token(sub="bob"))) == FINE


def test_a_client_that_calls_itself_as_a_person_is_called_is_not_that_person(caller, issuer):
    name = "alice-at-the-issuer"
    assert verdict(ask(issuer.token(sub=name, client_id=name))) == (403, "subject_not_mapped")
    assert verdict(ask(issuer.token(sub=name, client_id="other"))) == FINE


# scopes


def test_a_token_does_what_its_scopes_grant(caller, issuer):
    missing = (403, "scope_missing")
    table = [
        ({"scope": "tools:call"}, FINE),
        ({"scope": None, "scp": ["openid", "tools:call"]}, FINE),
        ({"scope": None, "scp": "tools:call other"}, FINE),
        ({"scope": None}, missing),
        ({"scope": ""}, missing),
        ({"scope": "tools:calls Tools:Call"}, missing),
        ({"scope": {"tools:call": True}, "scp": [["tools:call"]]}, missing),
    ]
    for claims, expected in table:
        token = issuer.token(**claims)
        for path in DOORS:
            assert verdict(ask(token, path)) == expected, (claims, path)


def test_a_token_never_does_more_than_its_key(world, caller, issuer):
    key = caller.key
    key.scopes = [Scope.TOOLS_CALL]
    change_key(key, SYSTEM)
    token = issuer.token(scope=" ".join(Scope.values))
    assert verdict(ask(token)) == FINE
    assert verdict(ask(token, "/audit/events")) == (403, "scope_missing")


# how soon an act is in force


def expire(caller):
    key = AgentKey.objects.get(pk=caller.key.pk)
    key.created_at = timezone.now() - dt.timedelta(days=2)
    key.expires_at = timezone.now() - dt.timedelta(days=1)
    AgentKey.objects.filter(pk=key.pk).update(created_at=key.created_at, expires_at=key.expires_at)


ACTS = {
    "the mapping ends": lambda c: unmap_subject(c.key.access_subjects.get(), SYSTEM, timezone.now()),
    "the key is revoked": lambda c: revoke_key(c.key, SYSTEM, timezone.now()),
    "the key expires": expire,
    "the owner leaves": lambda c: type(c.key.owner).objects.filter(pk=c.key.owner_id).update(is_active=False),
}


@pytest.mark.parametrize("act", ACTS)
def test_an_act_is_in_force_with_the_next_call(caller, issuer, act):
    token = issuer.token()
    assert {verdict(ask(token, path)) for path in DOORS} == {FINE}
    ACTS[act](caller)
    assert {verdict(ask(token, path)) for path in DOORS} == {(403, "subject_not_mapped")}


def test_a_frozen_agent_is_frozen_however_it_proves_itself(world, caller, issuer):
    token = issuer.token()
    assert verdict(ask(token)) == FINE
    engage(KillSwitch(scope="agent", agent=caller.key.agent, reason="stop"), SYSTEM)
    assert verdict(ask(token)) == (423, "frozen")


def test_a_rotated_keys_subject_goes_over_to_the_new_key(caller, issuer):
    new, _ = rotate_key(caller.key, SYSTEM, dt.timedelta(0), timezone.now())
    assert caller.call("search_customer", {"query": "a"}).status_code == 401
    assert verdict(ask(issuer.token())) == FINE
    assert Span.objects.get().agent_key == new.public_id
    assert AuditEvent.objects.get(type="subject.changed").facts == {
        "acts_as": {"from": caller.key.public_id, "to": new.public_id}
    }


def test_another_key_of_the_agent_is_in_force_with_the_next_call(world, caller, issuer):
    token = issuer.token()
    assert verdict(ask(token)) == FINE
    row = caller.key.access_subjects.get()
    row.key = world.caller(None, name="billing-agent").key
    change_subject(row, SYSTEM, timezone.now())
    assert verdict(ask(token)) == (404, "unknown_tool")


def test_a_token_that_expires_after_it_was_verified_is_refused(caller, issuer, monkeypatch):
    token, now = issuer.token(), timezone.now()
    assert verdict(ask(token)) == FINE
    for seconds, expected in ((299, FINE), (329, FINE), (332, REFUSED)):
        monkeypatch.setattr(timezone, "now", lambda seconds=seconds: now + dt.timedelta(seconds=seconds))
        assert verdict(ask(token)) == expected, seconds


def test_calls_by_token_and_by_key_share_the_keys_rate(world, issuer):
    caller = world.caller(world.allowing(), rate="3/h")
    mapped(issuer, caller.key)
    caller.call("search_customer", {"query": "a"})
    found = [verdict(ask(issuer.token()))[0] for _ in range(3)]
    assert found == [200, 200, 429]


# tokens of nobody


def test_a_genuine_token_of_nobody_is_noted_once_and_not_written_down_each_time(caller, issuer):
    for _ in range(3):
        assert verdict(ask(issuer.token(sub="newcomer"))) == (403, "subject_not_mapped")
    seen = UnmappedSubject.objects.get()
    assert (seen.issuer, seen.subject, seen.client) == (issuer.url, "newcomer", "chat-app")
    assert not AuditEvent.objects.filter(type="call.denied").exists()
    assert RefusalCount.objects.get(reason="subject_not_mapped").count == 3
    mapped(issuer, caller.key, "newcomer")
    assert not UnmappedSubject.objects.exists()
    assert verdict(ask(issuer.token(sub="newcomer"))) == FINE


def test_however_many_come_few_are_kept(caller, issuer, monkeypatch):
    monkeypatch.setattr("tools.subjects.MOST_KEPT", 3)
    for number in range(8):
        ask(issuer.token(sub=f"user-{number}"))
    kept = set(UnmappedSubject.objects.values_list("subject", flat=True))
    assert kept == {"user-5", "user-6", "user-7"}


# the token stays here


def test_a_token_is_never_passed_on_to_a_tool(world, issuer, endpoint):
    http_tool(endpoint.url + "/notes", secret="Bearer of-the-tool")
    mapped(issuer, world.caller(world.allowing("orders.*")).key)
    token = issuer.token()
    assert verdict(ask(token, "/tools/orders.note", {"order_id": "o-1"})) == FINE
    (asked,) = endpoint.asked
    assert asked[2]["Authorization"] == "Bearer of-the-tool"
    assert token not in str(asked)


def test_a_token_is_stored_and_logged_nowhere(caller, issuer, caplog):
    from django.db import connection

    caplog.set_level("DEBUG")
    tokens = [issuer.token(), issuer.token(sub="nobody"), issuer.token(aud="x"), issuer.token(scope="")]
    for token in tokens:
        for path in DOORS:
            answer = ask(token, path)
            assert token not in str(answer.headers) + answer.content.decode()
    parts = [part for token in tokens for part in token.split(".")[1:]]
    assert not [part for part in parts if part in caplog.text]
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            for part in parts:
                cursor.execute(f'SELECT count(*) FROM "{table}" t WHERE t::text LIKE %s', [f"%{part}%"])
                assert cursor.fetchone()[0] == 0, table
    assert "refused: audience" in caplog.text
