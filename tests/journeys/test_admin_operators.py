"""Operators at work in admin: held calls decided by people, switches, people, records to read."""

import datetime as dt
import json
import urllib.request
from typing import Any
from unittest import mock

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError

from approvals.models import PendingAction, Vote
from observatory.tasks import run_action
from telemetry.models import AuditEvent
from telemetry.visible import original
from tests.journeys.people import chief, signed_in
from tools.models import KillSwitch

PASSWORD = "correct horse battery"
NO_ROWS = {"keys-TOTAL_FORMS": "0", "keys-INITIAL_FORMS": "0"}
HOSTILE = "<script>alert(1)</script>\u202evip\u200b" + " " * 9_900 + "\U000e0100the end"


@pytest.fixture
def held(world: Any) -> PendingAction:
    """A status change asked for by alice's key, waiting for one person."""
    caller = world.caller(world.allowing())
    body = caller.call("update_customer_status", {"customer_id": world.acme.pk, "new_status": "vip"}).json()
    return PendingAction.objects.get(pk=body["pending_action_id"])


def address(pending: PendingAction, what: str) -> str:
    return reverse(f"admin:approvals_pendingaction_{what}", args=[pending.pk])


def vote(client: Client, pending: PendingAction, what: str = "approve", **fields: str) -> Any:
    return client.post(address(pending, what), {"reason": "seen", "seen_digest": pending.args_digest} | fields)


# kill switches


@pytest.mark.django_db
def test_switch_when_confirmed_freezes_and_when_released_frees(world: Any) -> None:
    caller, client = world.caller(world.allowing()), signed_in(world.bob)
    caller.call("search_customer", {"query": "a"})
    add = reverse("admin:tools_killswitch_add")
    form = {"scope": "agent", "agent": caller.key.agent_id, "tool": "", "reason": "INC-7"}
    asked = client.post(add, form)
    assert dict(asked.context["act"].facts)["Calls in the last hour"] == 1
    assert not KillSwitch.objects.exists()
    assert client.post(add, form | {"agreed": "1"}).status_code == 302
    assert caller.call("search_customer", {"query": "a"}).status_code == 423
    assert "scope" in client.post(add, form).context["adminform"].form.errors
    release = reverse("admin:tools_killswitch_release", args=[KillSwitch.objects.get().pk])
    client.get(release)
    assert caller.call("search_customer", {"query": "a"}).status_code == 423
    client.post(release)
    assert caller.call("search_customer", {"query": "a"}).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("fields", [{"scope": "agent"}, {"scope": "tool"}, {"scope": "everything", "agent": True}])
def test_switch_when_its_target_does_not_fit_is_refused_at_the_field(world: Any, fields: dict[str, Any]) -> None:
    caller = world.caller(None)
    fields = {"agent": "", "tool": "", "reason": "INC-7"} | fields
    fields["agent"] = caller.key.agent_id if fields["agent"] else ""
    page = signed_in(world.bob).post(reverse("admin:tools_killswitch_add"), fields | {"agreed": "1"})
    assert page.context["adminform"].form.errors
    assert not KillSwitch.objects.exists()


# decisions


@pytest.mark.django_db
def test_decision_when_bob_approves_runs_once(world: Any, held: PendingAction) -> None:
    with mock.patch("approvals.dispatch.current_app.send_task") as told:
        vote(signed_in(world.bob), held)
    assert told.call_args.args == ("observatory.run_action", [str(held.pk)])
    run_action(str(held.pk))
    world.acme.refresh_from_db()
    assert world.acme.status == "vip"
    assert Vote.objects.get().via == "admin"


@pytest.mark.django_db
def test_decision_when_the_broker_is_down_is_kept_for_the_sweep(world: Any, held: PendingAction) -> None:
    with mock.patch("approvals.dispatch.current_app.send_task", side_effect=OperationalError("down")):
        page = signed_in(world.bob).post(
            address(held, "approve"), {"reason": "", "seen_digest": held.args_digest}, follow=True
        )
    assert "the next sweep runs it" in page.content.decode()
    held.refresh_from_db()
    assert held.status == "approved"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arrange", "voter", "digest", "status"),
    [
        ("", "alice", "", 403),
        ("", "bob", "0" * 64, 409),
        ("rejected", "bob", "", 409),
        ("overdue", "bob", "", 409),
        ("finance only", "bob", "", 404),
    ],
)
def test_decision_when_it_may_not_be_says_why_and_changes_nothing(
    world: Any, held: PendingAction, arrange: str, voter: str, digest: str, status: int
) -> None:
    rows = PendingAction.objects.filter(pk=held.pk)
    if arrange == "rejected":
        rows.update(status="rejected")
    if arrange == "overdue":
        over = timezone.now() - dt.timedelta(hours=1)
        rows.update(created_at=over - dt.timedelta(hours=1), expires_at=over)
    if arrange == "finance only":
        rows.update(eligible_groups=["finance"])
    before = rows.values().get()
    answer = vote(signed_in(getattr(world, voter)), held, seen_digest=digest or held.args_digest)
    assert answer.status_code == status
    assert answer.context["refused"].endswith("Nothing was changed.")
    assert rows.values().get() == before
    assert not Vote.objects.exists()


@pytest.mark.django_db
def test_decision_when_bob_votes_twice_counts_once(world: Any, held: PendingAction) -> None:
    PendingAction.objects.filter(pk=held.pk).update(quorum=2)
    client = signed_in(world.bob)
    assert vote(client, held).status_code == 302
    assert vote(client, held).status_code == 409
    assert Vote.objects.count() == 1


@pytest.mark.django_db
def test_decision_by_get_or_without_its_token_changes_nothing(world: Any, held: PendingAction) -> None:
    page = signed_in(world.bob).get(address(held, "approve"), {"reason": "", "seen_digest": held.args_digest})
    assert page["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in page["Content-Security-Policy"]
    assert vote(signed_in(world.bob, enforce_csrf_checks=True), held).status_code == 403
    assert signed_in(world.bob).post(address(held, "change"), {}).status_code == 405
    held.refresh_from_db()
    assert held.status == "pending"


@pytest.mark.django_db
def test_arguments_when_hostile_are_shown_whole_and_the_reading_is_on_record(world: Any) -> None:
    policy = world.policy("tickets", {"tools": "*", "effect": "require_approval"})
    caller = world.caller(policy)
    asked = {"customer_id": world.acme.pk, "title": HOSTILE[:40], "description": HOSTILE}
    body = caller.call("create_ticket", asked).json()
    pending = PendingAction.objects.get(pk=body["pending_action_id"])
    for what in ("change", "approve"):
        page = signed_in(world.bob).get(address(pending, what))
        shown = page.context["arguments"] if what == "change" else page.context["act"].block
        assert json.loads(original(shown)) == asked
        assert all(escape in shown for escape in ("⟦U+202E⟧", "⟦U+200B⟧", "⟦U+0020×9900⟧", "⟦U+E0100⟧"))
        assert "<script>alert(1)" not in page.content.decode()
    assert AuditEvent.objects.filter(type="payload.read", actor="bob").count() == 2


@pytest.mark.django_db
def test_arguments_when_the_reader_decides_nothing_are_masked(world: Any, held: PendingAction) -> None:
    page = signed_in(world.person("fay", "auditors")).get(address(held, "change"))
    assert page.context["arguments_note"].startswith("Masked")
    assert not page.context["may_decide"]
    assert not AuditEvent.objects.filter(type="payload.read").exists()
    assert signed_in(world.person("gil")).get(address(held, "change")).status_code == 404


# people


@pytest.mark.django_db
def test_person_when_given_a_group_is_on_record_without_the_password(world: Any) -> None:
    client = signed_in(chief(world))
    page = client.get(reverse("admin:auth_user_change", args=[world.charlie.pk]))
    form = page.context["adminform"].form
    fields = {name: form.initial.get(name) or "" for name in ("username", "email", "first_name", "last_name")}
    group = world.bob.groups.get()
    fields |= {"is_active": "on", "is_staff": "on", "groups": [group.pk]}
    fields |= {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00", "last_login_0": "", "last_login_1": ""}
    assert client.post(reverse("admin:auth_user_change", args=[world.charlie.pk]), fields).status_code == 302
    event = AuditEvent.objects.get(type="person.changed")
    assert event.actor == "dora"
    assert event.facts["groups"] == {"from": [], "to": ["operators"]}
    assert world.charlie.password not in event.data


@pytest.mark.django_db
def test_password_when_set_for_somebody_is_on_record_without_it(world: Any) -> None:
    client = signed_in(chief(world))
    new = "another long pass phrase"
    answer = client.post(
        reverse("admin:auth_user_password_change", args=[world.charlie.pk]),
        {"password1": new, "password2": new, "usable_password": "true"},
    )
    assert answer.status_code == 302
    assert AuditEvent.objects.get(type="person.changed").facts == {"new_credential": True}


@pytest.mark.django_db
def test_group_when_its_permissions_change_is_on_record(world: Any) -> None:
    group = world.bob.groups.get()
    signed_in(chief(world)).post(
        reverse("admin:auth_group_change", args=[group.pk]), {"name": "operators", "permissions": []}
    )
    event = AuditEvent.objects.get(type="group.changed")
    assert event.facts["permissions"]["to"] == []


# records


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["tools_idempotencyrecord", "telemetry_auditevent", "telemetry_span"])
def test_records_when_opened_are_only_to_read(world: Any, name: str, held: PendingAction) -> None:
    world.caller(world.allowing(name="other"), name="b").call(
        "create_ticket", {"customer_id": world.acme.pk, "title": "Late"}, Idempotency_Key="k"
    )
    client = signed_in(chief(world))
    rows = client.get(reverse(f"admin:{name}_changelist")).context["cl"].result_list
    page = client.get(reverse(f"admin:{name}_change", args=[rows[0].pk]))
    assert page.status_code == 200
    assert client.get(reverse(f"admin:{name}_add")).status_code == 403
    assert client.post(reverse(f"admin:{name}_change", args=[rows[0].pk]), {}).status_code == 403
    found = client.get(reverse(f"admin:{name}_changelist"), {"q": rows[0].trace_id}).context["cl"].result_list
    assert rows[0] in found


# in a browser


def enter(page: Any, live_server: Any, name: str) -> None:
    page.context.clear_cookies()
    page.goto(f"{live_server.url}/admin/")
    page.fill("#id_username", name)
    page.fill("#id_password", PASSWORD)
    page.click("#login-form button[type=submit]")
    page.wait_for_url(f"{live_server.url}/admin/")


@pytest.mark.django_db(transaction=True)
def test_new_key_when_made_in_a_browser_is_shown_once_and_works(page: Any, live_server: Any, world: Any) -> None:
    policy = world.allowing()
    caller = world.caller(policy)
    chief(world)
    enter(page, live_server, "dora")
    page.goto(f"{live_server.url}/admin/tools/agentkey/add/")
    page.select_option("#id_agent", str(caller.key.agent_id))
    page.select_option("#id_policy", str(policy.pk))
    page.click("button[name=_save]")
    secret = page.locator("#new-secret").inner_text()
    page.click("[data-copy]")
    page.get_by_text("I have copied it").click()
    assert secret not in page.content()
    request = urllib.request.Request(
        f"{live_server.url}/tools/search_customer",
        data=b'{"query": "acme"}',
        headers={"X-API-Key": secret, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["results"][0]["name"] == "ACME AB"


@pytest.mark.django_db(transaction=True)
def test_held_call_when_bob_approves_it_in_a_browser_runs(
    page: Any, live_server: Any, world: Any, held: PendingAction, page_errors: list[str]
) -> None:
    enter(page, live_server, "alice")
    assert page.locator("#waiting ~ .calm").count() == 1
    page.goto(f"{live_server.url}{address(held, 'approve')}")
    page.click("#act-form button[type=submit]")
    assert "Your own agent asked for this" in page.locator(".notice-danger").inner_text()
    assert "403" in page_errors.pop()
    enter(page, live_server, "bob")
    page.get_by_text("update_customer_status for billing-agent").click()
    page.get_by_text("Approve…").click()
    page.fill("#id_reason", "checked with the customer")
    page.click("#act-form button[type=submit]")
    page.get_by_text("it runs within seconds").wait_for()
    run_action(str(held.pk))
    world.acme.refresh_from_db()
    assert world.acme.status == "vip"
    page.reload()
    assert "checked with the customer" in page.locator(".plain-table").inner_text()


@pytest.mark.django_db(transaction=True)
def test_hostile_arguments_when_shown_in_a_browser_do_nothing(page: Any, live_server: Any, world: Any) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    policy = world.policy("tickets", {"tools": "*", "effect": "require_approval", "name": "<script>alert(2)</script>"})
    asked = {"customer_id": world.acme.pk, "title": HOSTILE[:40], "description": HOSTILE}
    body = world.caller(policy).call("create_ticket", asked).json()
    enter(page, live_server, "bob")
    page.goto(f"{live_server.url}/admin/approvals/pendingaction/{body['pending_action_id']}/change/")
    assert json.loads(original(page.locator("#arguments").text_content())) == asked
    page.goto(f"{live_server.url}/admin/approvals/pendingaction/")
    page.goto(f"{live_server.url}/admin/telemetry/auditevent/")
    assert dialogs == []
