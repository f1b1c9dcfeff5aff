"""Reports in admin: asked for, watched while they are made, and fetched by those who may."""

import datetime as dt
import json
import re
from unittest import mock

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from observatory.groups import AUDITORS, OPERATORS, POLICY_EDITORS
from telemetry.models import AuditEvent, Report
from telemetry.reports.requested import MOST_AT_ONCE, run_report
from tests.journeys.people import signed_in
from tests.journeys.test_what_happened_in_a_browser import SIZES, seen
from tests.telemetry.reports.rows import session, step

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "/admin/telemetry/report/"
ADD = f"{LIST}add/"


@pytest.fixture(autouse=True)
def told():
    """What workers were told; none listens here."""
    with mock.patch("telemetry.reports.requested.current_app.send_task") as send:
        yield send


@pytest.fixture
def alice(world):
    return signed_in(world.alice)


@pytest.fixture
def rows(world):
    one = session("mine")
    step(one, 1, input_text="Is ACME active?")
    step(one, 2)


def asked(client, **fields):
    """The page of the report that was asked for."""
    answer = client.post(ADD, {"format": "json"} | fields)
    assert answer.status_code == 302, answer.content.decode()
    return answer["Location"]


def text_of(client, address):
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_report_is_asked_for_watched_and_fetched(alice, rows, told):
    assert "A worker makes a file" in text_of(alice, ADD)
    assert not Report.objects.exists(), "looking asks for nothing"
    page = asked(alice, session="mine")
    report = Report.objects.get()
    told.assert_called_once()
    waiting = text_of(alice, page)
    assert "It waits for a worker" in waiting
    assert '<meta http-equiv="refresh" content="2">' in waiting
    assert "download" not in waiting
    Report.objects.update(
        status="running", attempts=1, done_steps=1, total_steps=4, leased_until=timezone.now() + dt.timedelta(days=1)
    )
    running = text_of(alice, page)
    assert "1 of 4 steps are told" in running
    assert '<progress aria-label="Progress" max="4" value="1">' in running
    assert '<meta http-equiv="refresh"' in running
    assert ">1 of 4<" in text_of(alice, LIST)
    Report.objects.update(status="queued", attempts=0, done_steps=0, leased_until=None)
    assert run_report(report.pk, timezone.now)
    done = text_of(alice, page)
    assert '<meta http-equiv="refresh"' not in done
    assert "1 session, 2 steps;" in done
    (address,) = re.findall(r'id="download" href="([^"]+)"', done)
    answer = alice.get(address)
    raw = b"".join(answer.streaming_content)
    assert json.loads(raw)["mcp_details"]["summary"]["total_steps"] == 2
    assert re.fullmatch(r'attachment; filename="sessions-\d{8}T\d{6}Z.json"', answer["Content-Disposition"])
    assert answer["Cache-Control"].startswith("no-store")
    assert answer["Content-Length"] == str(len(raw))
    assert list(AuditEvent.objects.filter(subject_kind="report").order_by("id").values_list("type", "actor")) == [
        ("report.made", "alice"),
        ("payload.read", "alice"),
    ]


def test_a_report_that_failed_says_so_and_can_be_made_again(alice, rows):
    page = asked(alice, session="mine", to="2026-12-01T00:00:00Z")
    Report.objects.update(status="failed", ended_at=timezone.now(), error="It was cut off 3 times.")
    text = text_of(alice, page)
    assert "It was cut off 3 times." in text
    (again,) = re.findall(rf'href="({ADD}[^"]+)"', text)
    form = text_of(alice, again.replace("&amp;", "&"))
    assert 'value="mine"' in form
    assert 'value="2026-12-01T00:00:00Z"' in form


@pytest.mark.parametrize(
    "fields",
    [
        {"format": "pdf"},
        {"format": ""},
        {"from": "yesterday"},
        {"from": "2026-11-21T14:00:00"},
        {"from": "2026-11-22T00:00:00Z", "to": "2026-11-21T00:00:00Z"},
        {"session": "a" * 151},
        {"agent": "a\x00b"},
    ],
)
def test_what_can_not_be_asked_for_is_refused_in_the_form(alice, fields):
    answer = alice.post(ADD, {"format": "json"} | fields)
    assert answer.status_code == 200
    assert "error" in answer.content.decode()
    assert not Report.objects.exists()


def test_one_more_than_a_person_may_have_under_way_is_refused(alice):
    for _ in range(MOST_AT_ONCE):
        asked(alice)
    answer = alice.post(ADD, {"format": "json"})
    assert f"You have {MOST_AT_ONCE} reports under way" in answer.content.decode()
    assert Report.objects.count() == MOST_AT_ONCE


@pytest.mark.parametrize(
    ("groups", "may"), [([OPERATORS], True), ([AUDITORS], True), ([POLICY_EDITORS], False), ([], False)]
)
def test_who_may_ask_see_and_fetch(world, alice, rows, groups, may):
    page = asked(alice)
    run_report(Report.objects.get().pk, timezone.now)
    dora = signed_in(world.person("dora", *groups))
    download = page.replace("change/", "download/")
    for address, refused in ((LIST, 403), (ADD, 403), (page, 404), (download, 404)):
        assert dora.get(address).status_code == (200 if may else refused), address
    assert dora.post(ADD, {"format": "json"}).status_code == (302 if may else 403)
    assert Report.objects.count() == (2 if may else 1)
    reads = AuditEvent.objects.filter(type="payload.read", actor="dora").count()
    assert reads == (1 if may else 0)


def test_who_asked_fetches_it_though_the_permission_is_gone_and_sees_no_other(world, alice, rows):
    dora = world.person("dora")
    dora.user_permissions.add(Permission.objects.get(codename="report_session"))
    client = signed_in(dora)
    mine, theirs = asked(client), asked(alice)
    for report in Report.objects.all():
        run_report(report.pk, timezone.now)
    dora.user_permissions.clear()
    assert client.get(mine.replace("change/", "download/")).status_code == 200
    assert client.get(theirs).status_code == 404
    assert client.get(ADD).status_code == 403
    listed = text_of(client, LIST)
    assert mine in listed
    assert theirs not in listed
    dora.is_active = False
    dora.save()
    assert client.get(mine).status_code == 302


def test_the_page_of_a_session_leads_to_its_report(world, alice):
    page = f"/admin/telemetry/session/{session('mine').pk}/change/"
    (address,) = re.findall(rf'href="({ADD}[^"]+)"', text_of(alice, page))
    form = text_of(alice, address.replace("&amp;", "&"))
    assert 'value="mine"' in form
    assert 'value="billing-agent"' in form
    assert ADD not in text_of(signed_in(world.person("edda", POLICY_EDITORS)), page)


def test_a_file_that_is_not_there_is_said(alice, rows):
    page = asked(alice)
    answer = alice.get(page.replace("change/", "download/"), follow=True)
    assert "There is no file: it is not made yet, or it has expired." in answer.content.decode()


def test_nothing_is_changed_or_deleted_by_hand(alice, rows):
    page = asked(alice)
    assert alice.post(page, {"status": "done"}).status_code in (200, 403)
    assert alice.post(page.replace("change/", "delete/"), {"post": "yes"}).status_code == 403
    assert Report.objects.get().status == "queued"
    assert alice.get(f"{LIST}no-such-report/change/").status_code == 404


def test_names_and_filters_of_others_are_shown_as_text(world, alice):
    page = asked(alice, session="<script>alert(1)</script>\u202e", agent="=1+1")
    for address in (page, LIST):
        text = text_of(alice, address)
        assert "<script>alert(1)" not in text
        assert "\u202e" not in text


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_reloads_until_the_file_is_there(live_server, page, alice, world, rows, size, theme):
    """Under the content policy: the form, what is shown while the report waits and is made, and then the file."""
    page.set_viewport_size(SIZES[size])
    page.emulate_media(color_scheme=theme)
    page.context.add_cookies([{"name": "sessionid", "value": alice.cookies["sessionid"].value, "url": live_server.url}])
    page.goto(live_server.url + ADD)
    seen(page, f"report_form_{size}_{theme}")
    page.check("input[name=format][value=json]")
    page.click("#act-form button[type=submit]")
    page.wait_for_url("**/change/")
    assert page.locator("#status").inner_text() == "Waits"
    assert page.locator("progress").is_visible()
    report = Report.objects.get()
    lease = timezone.now() + dt.timedelta(days=1)
    Report.objects.update(status="running", attempts=1, done_steps=1, total_steps=4, leased_until=lease)
    page.locator("#progress-words").wait_for(timeout=10_000)
    seen(page, f"report_running_{size}_{theme}")
    Report.objects.update(status="queued", attempts=0, done_steps=0, leased_until=None)
    assert run_report(report.pk, timezone.now)
    page.locator("#download").wait_for(timeout=10_000)
    seen(page, f"report_done_{size}_{theme}")
    with page.expect_download() as download:
        page.locator("#download").click()
    with open(download.value.path(), "rb") as file:
        assert json.load(file)["mcp_details"]["summary"]["total_steps"] == 2
    page.goto(live_server.url + LIST)
    seen(page, f"report_list_{size}_{theme}")
