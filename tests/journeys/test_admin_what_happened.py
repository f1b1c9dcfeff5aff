"""The pages of what happened: charts over rollups, one trace as a waterfall, and the list of spans."""

import datetime as dt
import json
import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from telemetry.admin.trace_page import MOST_SPANS
from telemetry.metrics.rollups import roll_up
from telemetry.models import Span
from tests.journeys.people import signed_in
from tests.telemetry.metrics.spans import record, span

pytestmark = pytest.mark.django_db
CHARTS = "/admin/what-happened/"
LIST = "/admin/telemetry/span/"
SOON = dt.timedelta(minutes=2)


@pytest.fixture
def agent(world):
    """Two calls that ran, one denied; a model call that was priced."""
    agent = world.caller(world.allowing("search_customer"))
    for query in ("a", "b"):
        agent.call("search_customer", {"query": query})
    agent.call("create_ticket", {"customer_id": world.acme.pk, "title": "no"})
    priced = {"model": "gpt", "cost_usd": Decimal("0.25"), "prompt_tokens": 1200, "completion_tokens": 34}
    told = {"kind": "model_call", "origin": "sdk", "service": "crm", "tool_name": "", "agent": "bot"}
    record(span(timezone.now(), 700, **told, **priced))
    roll_up(timezone.now() + SOON)
    return agent


def charts(world, asked=""):
    page = signed_in(world.alice).get(CHARTS + asked)
    assert page.status_code == 200
    return page


def numbers(page):
    return {figure["title"]: figure["text"] for figure in page.context["figures"]}


@pytest.mark.parametrize("window", ["1h", "24h", "7d", "30d", "nonsense"])
def test_every_window_shows_the_same_calls(world, agent, window):
    page = charts(world, f"?window={window}")
    assert numbers(page)["calls"] == "4"
    assert numbers(page)["denied"] == "1"
    assert numbers(page)["cost, USD"] == "0.2500"
    drawn = json.loads(re.search(r'<script id="chart-data" type="application/json">(.*?)</script>', page.text)[1])
    assert sum(drawn["calls"]) == 4
    assert sum(drawn["tokens_in"]) == 1200
    assert {len(column) for column in drawn.values()} == {len(drawn["at"])}
    assert 20 <= len(drawn["at"]) <= 61


def test_the_numbers_stand_in_the_page_for_whoever_sees_no_chart(world, agent):
    page = charts(world)
    rows = page.context["rows"]
    assert sum(int(values[0]) for _, values in rows) == 4
    assert page.text.count('scope="row"') >= 60
    assert ' style="' not in page.text.split('id="content-main"')[1].split("</main>")[0]


def test_tools_and_agents_are_ranked_and_lead_to_their_spans(world, agent):
    page = charts(world)
    (_, _, tools), (_, _, agents) = page.context["tops"]
    assert [(row["name"], row["calls"], row["denied"]) for row in tools] == [
        ("search_customer", 2, 0),
        ("create_ticket", 1, 1),
    ]
    assert [(row["name"], row["calls"]) for row in agents] == [("billing-agent", 3), ("bot", 1)]
    listed = signed_in(world.alice).get(tools[0]["spans"]).context["cl"].result_list
    assert {row.tool_name for row in listed} == {"search_customer"}
    assert len(listed) == 2


def test_one_service_tool_or_agent_can_be_kept(world, agent):
    assert numbers(charts(world, "?service=crm"))["calls"] == "1"
    assert numbers(charts(world, "?tool=create_ticket&agent=billing-agent"))["denied"] == "1"
    assert numbers(charts(world, "?agent=nobody%00&tool=%3Cscript%3E"))["calls"] == "0"


def test_before_anything_was_summed_up_the_page_says_so(world):
    assert "Nothing is summed up yet" in charts(world).text


@pytest.mark.parametrize("page", [CHARTS, f"/admin/telemetry/span/trace/{'a' * 32}/"])
def test_only_those_who_may_see_spans_see_the_pages(world, page):
    assert signed_in(world.alice).get(page).status_code == 200
    assert signed_in(world.charlie).get(page).status_code == 403


# one trace


def trace_of(world, trace_id, person=None):
    return signed_in(person or world.alice).get(reverse("admin:telemetry_trace", args=[trace_id]))


def test_a_trace_has_its_spans_its_totals_and_its_events(world, agent):
    root = Span.objects.filter(decision="ok", tool_name="search_customer").latest("start_time")
    child = span(
        root.start_time, 5, kind="model_call", trace_id=root.trace_id, cost_usd=Decimal("0.5"), prompt_tokens=7
    )
    child.parent_span_id = root.span_id
    record(child)
    page = trace_of(world, root.trace_id)
    assert [(one["line"].span.pk, one["line"].depth) for one in page.context["lines"]] == [(root.pk, 0), (child.pk, 1)]
    assert (page.context["whole"]["cost"], page.context["whole"]["tokens_in"]) == (Decimal("0.5"), 7)
    assert [event["type"] for event in page.context["events"]] == ["call.answered"]
    assert reverse("admin:telemetry_span_change", args=[root.pk]) in page.text
    assert page.context["lines"][0]["line"].segments


def test_events_are_for_those_who_may_see_them(world, agent):
    from django.contrib.auth.models import Permission

    root = Span.objects.filter(tool_name="search_customer").first()
    world.charlie.user_permissions.add(Permission.objects.get(codename="view_span"))
    page = trace_of(world, root.trace_id, world.charlie)
    assert page.context["events"] is None
    assert "Audit events" not in page.text.split('id="content-main"')[1]


def test_a_trace_of_many_spans_says_what_it_leaves_out(world):
    trace = "b" * 32
    now = timezone.now()
    record(*(span(now + dt.timedelta(milliseconds=n), 1, trace_id=trace, cost_usd=1) for n in range(MOST_SPANS + 7)))
    page = trace_of(world, trace)
    assert len(page.context["lines"]) == MOST_SPANS
    assert page.context["left_out"] == 7
    assert page.context["whole"]["cost"] == MOST_SPANS + 7
    assert 'id="left-out"' in page.text


def test_spans_that_others_report_into_a_trace_push_none_of_ours_out_of_sight(world, agent):
    ours = Span.objects.filter(decision__startswith="denied").get()
    earlier = ours.start_time - dt.timedelta(minutes=1)
    record(*(span(earlier, trace_id=ours.trace_id, origin="sdk", service="x") for _ in range(MOST_SPANS + 1)))
    page = trace_of(world, ours.trace_id)
    assert ours.pk in {line["line"].span.pk for line in page.context["lines"]}
    assert page.context["left_out"] == 2


@pytest.mark.parametrize(("trace", "status"), [("c" * 32, 200), ("C" * 32, 404), ("nonsense", 404)])
def test_a_trace_without_spans_says_so_and_what_is_no_trace_is_not_found(world, trace, status):
    assert trace_of(world, trace).status_code == status


def test_names_that_reporters_chose_are_text(world):
    record(span(timezone.now(), trace_id="d" * 32, name="<script>alert(1)</script>\u202e", service='"><b>'))
    page = trace_of(world, "d" * 32)
    assert "<script>alert" not in page.text
    assert '"><b>' not in page.text
    assert "\u202e" not in page.text


# where traces stand, their pages are linked


def test_spans_events_and_actions_lead_to_their_trace(world, agent):
    row = Span.objects.filter(tool_name="search_customer").first()
    link = reverse("admin:telemetry_trace", args=[row.trace_id])
    client = signed_in(world.alice)
    event = client.get(f"/admin/telemetry/auditevent/?q={row.trace_id}").context["cl"].result_list[0]
    for page in (LIST, f"{LIST}{row.pk}/change/", f"/admin/telemetry/auditevent/{event.pk}/change/"):
        assert link in client.get(page, follow=True).text, page
    held = world.caller(world.allowing("update_customer_status", name="updates"), name="other")
    body = held.call("update_customer_status", {"customer_id": world.acme.pk, "new_status": "vip"}).json()
    page = client.get(f"/admin/approvals/pendingaction/{body['pending_action_id']}/change/")
    assert page.context["original"].trace_id in page.text
    assert reverse("admin:telemetry_trace", args=[page.context["original"].trace_id]) in page.text


# the list


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("origin__exact=sdk", 1),
        ("service=crm", 1),
        ("model=gpt", 1),
        ("agent=bot", 1),
        ("tool=create_ticket", 1),
        ("", 4),
    ],
)
def test_the_list_is_filtered(world, agent, asked, expected):
    assert len(signed_in(world.alice).get(f"{LIST}?{asked}").context["cl"].result_list) == expected


def test_a_span_shows_what_was_reported(world):
    made = span(
        timezone.now(), name="chat", provider="openai", confidence=0.4, attributes={"a.b": "seen-here"}, origin="otlp"
    )
    record(made)
    page = signed_in(world.alice).get(f"{LIST}{made.pk}/change/").text
    for shown in ("Reported by OpenTelemetry", "openai", "seen-here", "0.4"):
        assert shown in page, shown


@pytest.mark.parametrize(
    ("from_", "to", "expected"),
    [
        (("2026-11-02", "10:00:00"), ("", ""), 2),
        (("2026-11-02", ""), ("2026-11-02", ""), 2),
        (("2026-11-02", "10:30:00"), ("2026-11-02", "11:00:00"), 1),
        (("", ""), ("2026-11-01", ""), 0),
        (("no date", "10:00:00"), ("2026-13-40", "x"), 2),
    ],
)
def test_the_list_is_kept_to_a_time(world, from_, to, expected):
    noon = dt.datetime(2026, 11, 2, 11, tzinfo=dt.UTC)
    record(span(noon), span(noon - dt.timedelta(minutes=40)))
    asked = dict(zip(("from_0", "from_1", "to_0", "to_1"), from_ + to, strict=True))
    address = "&".join(f"start_time_{end}={value}" for end, value in asked.items())
    assert len(signed_in(world.alice).get(f"{LIST}?{address}").context["cl"].result_list) == expected


@pytest.mark.parametrize(
    ("asked", "column"), [("tool=create_ticket", "tool_name"), ("agent=bot", "agent"), (f"q={'a' * 32}", "trace_id")]
)
def test_one_name_is_found_by_its_index(world, agent, asked, column):
    client = signed_in(world.alice)
    with CaptureQueriesContext(connection) as captured:
        client.get(f"{LIST}?{asked}")
    listing = next(query["sql"] for query in captured.captured_queries if "LIMIT 51" in query["sql"])
    with connection.cursor() as cursor:
        # A handful of rows is read faster without any index.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN {listing}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert f"Index Cond: (({column})::text = " in plan, plan


# one span


def test_other_work_is_listed_by_its_own_name_and_its_cost_is_read(world):
    work = span(timezone.now(), kind="other", tool_name="", name="answer a customer", cost_usd=Decimal("0.25000000"))
    record(work)
    alice = signed_in(world.alice)
    assert "answer a customer" in alice.get(LIST).content.decode()
    page = alice.get(f"{LIST}{work.pk}/change/").content.decode()
    assert "Other work answer a customer" in page
    assert re.search(r"Cost, USD.*?>\s*0\.25\s*<", page, re.DOTALL)
