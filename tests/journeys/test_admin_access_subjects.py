"""Whose access tokens act as whom, in admin: mapped with a click, ended for good, and nobody's way around four eyes."""

import re

import pytest
from django.urls import reverse

from approvals.models import PendingAction
from telemetry.models import AuditEvent
from tests.journeys.access_tokens import AUDIENCE, FINE, ask, issuer, mapped, verdict
from tests.journeys.people import chief, signed_in
from tools.models import AccessSubject, UnmappedSubject
from tools.scopes import Scope

__all__ = ("issuer",)
pytestmark = pytest.mark.django_db
ADD = "admin:tools_accesssubject_add"


def form(key, **fields):
    return {"issuer": "https://issuer.example.com", "kind": "subject", "value": "alice", "key": key.pk} | fields


def test_a_subject_that_came_is_mapped_without_copying_it(world, issuer):
    caller = world.caller(world.allowing(), scopes=[Scope.TOOLS_CALL])
    token = issuer.token(sub="new<b>\u00e9 comer")
    assert verdict(ask(token)) == (403, "subject_not_mapped")
    editor = signed_in(world.person("erin", "policy editors"))
    listed = editor.get(reverse("admin:tools_unmappedsubject_changelist")).content.decode()
    assert "<b>" not in listed.replace("<b></b>", "")
    links = re.findall(r'href="(/admin/tools/accesssubject/add/[^"]*)"', listed)
    page = editor.get(links[0].replace("&amp;", "&"))
    given = page.context["adminform"].form.initial
    assert (given["issuer"], given["kind"], given["value"]) == (issuer.url, "subject", "new<b>\u00e9 comer")
    sent = {name: given[name] for name in ("issuer", "kind", "value")} | {"key": caller.key.pk}
    assert editor.post(reverse(ADD), sent).status_code == 302
    assert verdict(ask(token)) == FINE
    event = AuditEvent.objects.get(type="subject.mapped")
    assert (event.actor, event.facts["acts_as"]) == ("erin", caller.key.public_id)
    assert not UnmappedSubject.objects.exists()
    by_client = editor.get(f"{reverse(ADD)}?seen=999&as_client=1")
    assert by_client.context["adminform"].form.initial["issuer"] == issuer.url


def test_an_auditor_sees_and_changes_nothing(world, issuer):
    caller = world.caller(world.allowing())
    row = mapped(issuer, caller.key)
    ask(issuer.token(sub="newcomer"))
    auditor = signed_in(world.person("otto", "auditors"))
    listed = auditor.get(reverse("admin:tools_unmappedsubject_changelist")).content.decode()
    assert "newcomer" in listed
    assert "accesssubject/add" not in listed
    assert auditor.get(reverse("admin:tools_accesssubject_changelist")).status_code == 200
    assert auditor.get(reverse(ADD)).status_code == 403
    assert auditor.get(reverse("admin:tools_accesssubject_unmap", args=[row.pk])).status_code == 403


def test_a_mapping_ends_for_good_and_the_subject_can_be_mapped_anew(world, issuer):
    caller, token = world.caller(world.allowing()), issuer.token()
    row = mapped(issuer, caller.key)
    operator = signed_in(world.person("olga", "operators"))
    unmap = reverse("admin:tools_accesssubject_unmap", args=[row.pk])
    assert "403" in operator.get(unmap).content.decode()
    assert verdict(ask(token)) == FINE
    operator.post(unmap, {"reason": "left"})
    assert verdict(ask(token)) == (403, "subject_not_mapped")
    assert AuditEvent.objects.get(type="subject.unmapped").facts["reason"] == "left"
    boss = signed_in(chief(world))
    change = reverse("admin:tools_accesssubject_change", args=[row.pk])
    assert boss.get(change).status_code == 200
    assert boss.post(change, {"key": caller.key.pk}).status_code == 403
    assert boss.get(reverse("admin:tools_accesssubject_delete", args=[row.pk])).status_code == 403
    boss.post(reverse(ADD), form(caller.key, issuer=issuer.url, value=row.value))
    assert verdict(ask(token)) == FINE
    assert AccessSubject.objects.count() == 2


def test_what_can_not_be_mapped_is_said_at_its_field(world, issuer):
    caller, boss = world.caller(world.allowing()), signed_in(chief(world))
    other = world.caller(None, name="other-agent")
    revoked = world.caller(None, name="third-agent")
    boss.post(reverse("admin:tools_agentkey_revoke", args=[revoked.key.pk]), {"reason": ""})
    assert boss.post(reverse(ADD), form(caller.key)).status_code == 302
    for wrong in (
        form(other.key),
        form(revoked.key, value="b"),
        form(caller.key, value=""),
        form(caller.key, kind="x"),
    ):
        page = boss.post(reverse(ADD), wrong)
        assert page.status_code == 200
        assert page.context["adminform"].form.errors
    row = AccessSubject.objects.get()
    page = boss.post(reverse("admin:tools_accesssubject_change", args=[row.pk]), {"key": other.key.pk})
    assert "key" in page.context["adminform"].form.errors
    assert AccessSubject.objects.get().key == caller.key


def test_nobody_maps_a_subject_to_a_key_that_votes_for_another(world):
    voting = world.caller(None, owner=world.bob, scopes=[Scope.ACTIONS_CONFIRM])
    editor = signed_in(world.person("erin", "policy editors"))
    page = editor.post(reverse(ADD), form(voting.key))
    assert "key" in page.context["adminform"].form.errors
    assert not AccessSubject.objects.exists()


def test_who_mapped_a_subject_decides_nothing_that_its_agent_asks_for(world):
    caller = world.caller(world.allowing())
    bob, charlie = world.bob, world.person("carol", "operators")
    caller.call("update_customer_status", {"customer_id": world.acme.pk, "new_status": "vip"})
    action = PendingAction.objects.get()
    decidable = PendingAction.objects.decidable_by(bob)
    assert list(decidable) == [action]
    bob.is_superuser = True
    bob.save()
    signed_in(bob).post(reverse(ADD), form(caller.key))
    row = AccessSubject.objects.get()
    signed_in(bob).post(reverse("admin:tools_accesssubject_unmap", args=[row.pk]), {"reason": ""})
    assert list(decidable.all()) == []
    assert list(PendingAction.objects.decidable_by(charlie)) == [action]

    from django.utils import timezone

    from approvals.actions import decide
    from approvals.notices import people_to_tell

    assert bob not in people_to_tell(action)
    assert charlie in people_to_tell(action)
    refused = decide(action.pk, bob, approve=True, reason="", via="admin", now=timezone.now())
    assert refused.code == "own_request"
    assert decide(action.pk, charlie, approve=True, reason="", via="admin", now=timezone.now()).approved


def test_the_checks_want_settings_that_are_safe(settings):
    from observatory.checks import access_tokens_are_for_here

    def found(issuer, audience, jwks_url="", demo=False):
        settings.OAUTH_ISSUER, settings.OAUTH_AUDIENCE, settings.OAUTH_JWKS_URL = issuer, audience, jwks_url
        settings.DEMO = demo
        return [problem.id.removeprefix("observatory.") for problem in access_tokens_are_for_here()]

    good = "https://issuer.example.com/tenant"
    assert found("", "") == []
    assert found(good, AUDIENCE) == []
    assert found(good, AUDIENCE, "https://keys.example.com/k?v=1") == []
    assert found(good, "") == ["E010"]
    assert found("", AUDIENCE) == ["E010"]
    assert found("", "", "https://keys.example.com") == ["E010"]
    assert found("http://issuer.example.com", AUDIENCE) == ["E011"]
    assert found("http://issuer.example.com", AUDIENCE, demo=True) == []
    assert found("https://user:word@issuer.example.com", AUDIENCE) == ["E011"]
    assert found(good + "?a=1", AUDIENCE) == ["E011"]
    assert found(good, AUDIENCE, "http://keys.example.com") == ["E011"]
    assert found(good, AUDIENCE, "https://169.254.169.254/keys") == ["E011"]
    assert found(good, "api://our-application") == ["E011"]
    assert found(good, "https://tools.example.com/other") == ["E012"]


@pytest.mark.parametrize("page", ["accesssubject/", "accesssubject/add/", "unmappedsubject/"])
def test_pages_say_so_where_no_token_is_taken(world, settings, page):
    admin = signed_in(world.person("edda", "policy editors"))
    said = "Access tokens are not taken here"
    settings.OAUTH_ISSUER = ""
    assert said in admin.get(f"/admin/tools/{page}").content.decode()
    settings.OAUTH_ISSUER = "https://issuer.example"
    assert said not in admin.get(f"/admin/tools/{page}").content.decode()
