"""Sessions in admin: found, read as a story, and stopped."""

import datetime as dt
import re

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone
from django.utils.html import escape

from observatory.groups import AUDITORS, OPERATORS, POLICY_EDITORS
from telemetry.models import AuditEvent, Session, Step
from tests.journeys.people import signed_in
from tests.journeys.session_story import CARD, HOSTILE, told

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "/admin/telemetry/session/"


def page_of(client, session, query=""):
    answer = client.get(f"{LIST}{session.pk}/change/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def step_in(page, number):
    """The text of one step of the story, in one line."""
    found = re.search(rf'id="step-{number}">(.*?)</li>', page, re.DOTALL)
    assert found, number
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[1])).strip()


def made(name="made", steps=0, **fields):
    """A session and its steps by their tables: what was not told by the door."""
    ended = {} if fields.get("status", "open") == "open" else {"ended_at": timezone.now()}
    session = Session.objects.create(
        **{"session_id": name, "agent_id": 1, "agent": "billing-agent", "model": "gpt-4o", "max_steps": 10_000}
        | {"agent_key": "abcd", "rules_hash": "0" * 64, "steps_begun": steps}
        | ended
        | fields
    )
    now = timezone.now()
    Step.objects.bulk_create(
        Step(
            session=session,
            number=number,
            role="user",
            channel="user_to_llm",
            input_text=f"words {number}",
            decision="ok",
            latency_us=1_000,
            began_at=now + dt.timedelta(seconds=number),
            ended_at=now + dt.timedelta(seconds=number),
        )
        for number in range(1, steps + 1)
    )
    return session


@pytest.fixture
def olga(world):
    return signed_in(world.person("olga", OPERATORS))


def test_a_session_reads_as_a_story(world, olga):
    page = page_of(olga, told(world))
    for number, said in {
        1: ("The user said", "Passed", "Is ACME AB still a customer of ours?", "What went in · pii, secrets"),
        2: ("The model called search_customer", "Ran", "“Everyday tools” of policy first line r1", "name: ACME AB"),
        3: ("The tool answered", "ACME AB is active."),
        4: ("The model asked for search_customer", "Denied: arguments", "Arguments refused"),
        5: ("asked for get_incident_impact", "On the session&#x27;s blocklist"),
        6: ("asked for send_message", "Denied: policy", "rule “No customers&#x27; names in #sales”"),
        7: ("Denied: policy", "1 violation", "Refused by a guardrail", "found card: score", "denies", "[masked card]"),
        8: ("would have called create_ticket", "Dry run", "[DRY RUN] Would call create_ticket"),
        9: ("The model called search_customer", "Reused from Preflight", "reused:"),
        10: ("asked for no_such_tool", "Unknown tool"),
        11: ("asked for update_customer_status", "Held for a person", "“Status needs a person”", "The held action"),
        12: ("The model answered", "I asked for approval; somebody has to agree."),
    }.items():
        for words in said:
            assert words in step_in(page, number), (number, words)
    mark = '<span class="tag tag-note">Reused from Preflight</span>'
    ninth = page[page.index('id="step-9"') : page.index('id="step-10"')]
    assert (ninth.count(mark), page[: page.index('id="step-2"')].count(mark)) == (3, 0)
    assert "tokens in, 64 out" in step_in(page, 2)
    assert "(estimated)" in step_in(page, 3)
    assert "(estimated)" not in step_in(page, 2)
    for words in (
        "Never get_incident_impact.",
        "At most 40 steps.",
        "Mixed: personal data, secrets and injection deny",
        "personal data 0.3, secrets 0.5",
        "<strong>12 of 40</strong> steps",
        "nothing above its threshold",
    ):
        assert words in page, words
    assert CARD not in page
    assert page.count('class="took took-') == 12


def test_a_session_says_what_was_decided_how_often(world, olga):
    page = page_of(olga, told(world))
    tally = page[page.index('id="decisions"') :]
    tally = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", tally[: tally.index("</ul>")]))
    for words in ("Ran 5", "Denied: policy 4", "Denied: arguments 1", "Held for a person 1", "Dry run 1"):
        assert words in tally


def test_what_an_agent_sent_is_text_and_hides_nothing(world, olga):
    session = told(world, model="gpt\u202e4o<b>")
    Step.objects.filter(session=session, number=3).update(
        input_text="a\u200bb<i>",
        output_text="\u202eback<i>",
        error="e\u2066<i>",
        rule="r\u202e<i>",
        policy="p\u200b<i>",
    )
    Step.objects.filter(session=session, number=4).update(
        tool_args={"<k\u200b>": "<v\u202e>"},
        guardrail_signals=[
            {"provider": "<p>\u202e", "metric": "<m>", "stage": "<s>", "score": 1, "threshold": 0.5, "violated": True}
            | {"kinds": {"<kind>\u200b": 2}, "reason": "<why>"},
            "no object",
            {"score": None, "violated": True, "reason": "unavailable: <late>", "reused": False},
        ],
    )
    page = page_of(olga, session)
    assert escape(HOSTILE) in page
    assert not re.search(r"[\u200b\u202e\u2066]", page)
    for raw in (HOSTILE, "<i>", "<v", "<p>\u202e", "<m>", "<kind>", "<why>", "4o<b>", "<late>"):
        assert raw not in page, raw
    assert "⟦U+202E⟧back&lt;i&gt;" in page
    assert "&lt;kind&gt;⟦U+200B⟧ ×2" in page
    assert "doubt is a violation" in page


def test_links_are_for_those_who_may_follow_them(world, olga):
    session = told(world)
    trace = Step.objects.get(session=session, number=11)
    page = page_of(olga, session)
    for link in (
        f"/admin/telemetry/span/trace/{trace.trace_id}/",
        f"/admin/approvals/pendingaction/{trace.pending_action_id}/change/",
        "/revisions/1/",
        f"/admin/tools/agent/{session.agent_id}/change/",
        f"?subject=session%3A{session.pk}",
    ):
        assert link in page, link
        assert olga.get(re.search(rf'href="([^"]*{re.escape(link)}[^"]*)"', page)[1]).status_code == 200, link
    reader = world.person("rita")
    may = Permission.objects.filter(content_type__app_label="telemetry")
    reader.user_permissions.add(may.get(codename="view_session"))
    page = page_of(signed_in(reader), session)
    assert "You may see the session, and not its steps." in page
    assert "I look for ACME" not in page
    assert 'class="took' not in page
    reader.user_permissions.add(may.get(codename="view_step"))
    page = page_of(signed_in(reader), session)
    for link in ("/span/trace/", "/pendingaction/", "/revisions/", "/tools/agent/", "?subject=", "/stop/"):
        assert link not in page, link
    assert "held as" in page


@pytest.mark.parametrize(
    ("group", "sees", "may_stop"),
    [(OPERATORS, True, True), (AUDITORS, True, False), (POLICY_EDITORS, True, False), (None, False, False)],
)
def test_who_sees_and_who_stops(world, group, sees, may_stop):
    session = made()
    client = signed_in(world.person("pat", *([group] if group else [])))
    for path in (LIST, f"{LIST}{session.pk}/change/"):
        assert client.get(path).status_code == (200 if sees else 403)
    if sees:
        assert ("Stop this session" in page_of(client, session)) is may_stop
    assert client.get(f"{LIST}{session.pk}/stop/").status_code == (200 if may_stop else 403)
    client.post(f"{LIST}{session.pk}/stop/", {"reason": "x"})
    session.refresh_from_db()
    assert (session.status == "stopped") is may_stop
    for path in ("add/", f"{session.pk}/delete/"):
        assert client.post(f"{LIST}{path}", {}).status_code == 403


def test_a_stopped_session_takes_no_more_steps(world, olga):
    caller = world.caller(world.allowing())
    caller.post("/sessions", {"session_id": "run", "model": "gpt-4o"})
    session = Session.objects.get()
    stop = f"{LIST}{session.pk}/stop/"
    page = olga.get(stop).content.decode()
    assert "refused with session_closed" in page
    assert "A call that runs is not cut off" in page
    session.refresh_from_db()
    assert session.status == "open", "looking changes nothing"
    assert olga.post(stop, {"reason": "It loops."}).status_code == 302
    session.refresh_from_db()
    assert (session.status, session.ended_by) == ("stopped", "olga")
    event = AuditEvent.objects.get(type="session.stopped")
    assert (event.actor, event.subject) == ("olga", "run")
    assert "It loops." in event.data
    refused = caller.post("/sessions/run/steps", {"role": "user", "input_text": "one more"})
    assert (refused.status_code, refused.json()["code"]) == (409, "session_closed")
    assert "has ended already" in olga.get(stop, follow=True).content.decode()
    assert "had ended already" in olga.post(stop, {"reason": "again"}, follow=True).content.decode()
    assert AuditEvent.objects.filter(type="session.stopped").count() == 1
    assert "Stop this session" not in page_of(olga, session)


def found_by(client, query):
    return [row.session_id for row in client.get(f"{LIST}?{query}").context["cl"].result_list]


def test_the_list_is_searched_and_filtered(world, olga):
    story = told(world)
    trace = Step.objects.get(session=story, number=2).trace_id
    old = timezone.now() - dt.timedelta(days=3)
    made("quiet", status="closed", labels=["untrusted_text"], created_at=old)
    made("stopped-one", status="stopped", agent="other")
    assert found_by(olga, "") == ["stopped-one", story.session_id, "quiet"]
    for query, names in {
        f"q={trace}": [story.session_id],
        f"q={'f' * 32}": [],
        "q=ACME": [story.session_id],
        "q=support": [story.session_id],
        "q=billing-AGENT": ["quiet"],
        "status__exact=stopped": ["stopped-one"],
        "violations=yes": [story.session_id],
        "violations=no": ["stopped-one", "quiet"],
        "label=private_data": [story.session_id],
        "label=untrusted_text": [story.session_id, "quiet"],
        f"created_at_from_0={old + dt.timedelta(days=1):%Y-%m-%d}": ["stopped-one", story.session_id],
        f"created_at_to_0={old + dt.timedelta(days=1):%Y-%m-%d}": ["quiet"],
    }.items():
        assert found_by(olga, query) == names, query
    page = olga.get(LIST).content.decode()
    for words in ("12 / 40", "support-agent", "private_data", "gpt-4o"):
        assert words in page


def test_a_long_list_costs_as_much_as_a_short_one(world, olga, django_assert_max_num_queries):
    for number in range(120):
        made(f"run-{number}")
    olga.get(LIST)
    with django_assert_max_num_queries(8) as asked:
        answer = olga.get(LIST)
    assert len(answer.context["cl"].result_list) == 50
    assert not [one["sql"] for one in asked.captured_queries if "COUNT(" in one["sql"].upper()]
    listed = next(one["sql"] for one in asked.captured_queries if 'FROM "telemetry_session"' in one["sql"])
    assert "tools_discovered" not in listed
    assert [len(olga.get(f"{LIST}?p={page}").context["cl"].result_list) for page in (2, 3)] == [50, 20]


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ("", 1, 200),
        ("?page=2", 201, 400),
        ("?page=3", 401, 450),
        ("?page=99", 401, 450),
        ("?page=0", 1, 200),
        ("?page=-1", 1, 200),
        ("?page=x", 1, 200),
        ("?page=999999999999999999", 1, 200),
    ],
)
def test_a_long_story_has_pages(world, olga, query, first, last):
    page = page_of(olga, made(steps=450), query)
    shown = [int(number) for number in re.findall(r'id="step-(\d+)"', page)]
    assert (shown[0], shown[-1], len(shown)) == (first, last, last - first + 1)
    assert ("Earlier steps" in page) is (first > 1)
    assert ("Later steps" in page) is (last < 450)
    assert page.count('class="took took-') == 450


def test_a_waterfall_says_what_it_leaves_out(world, olga):
    page = page_of(olga, made(steps=503))
    assert page.count('class="took took-') == 500
    assert "The first 500 steps are drawn; 3 later ones are in the story only." in page
    assert 'href="?page=2#step-201"' in page
    assert 'href="#step-200"' in page


def test_a_long_story_asks_no_more_than_a_short_one(world, olga, django_assert_max_num_queries):
    long, short = made("long", steps=450), made("short", steps=1)
    page_of(olga, short)
    with django_assert_max_num_queries(20) as asked:
        page_of(olga, short)
    count = len(asked)
    with django_assert_max_num_queries(count):
        page_of(olga, long)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"reported": True}, "Its steps ran elsewhere and were told here; nothing of it ran here."),
        ({"policy": {"allowlist": ["b", "a"]}}, "Only b, a."),
        ({"policy": {"allowlist": []}}, "No tool at all: its allowlist is empty."),
        ({"policy": {"allowlist": None}}, "Every tool that its key may call."),
        ({"policy": {"no_network": True}}, "No tool that uses the network"),
        ({"policy": {"dry_run": True}}, "A dry run: nothing runs"),
        ({"upstream": "orders"}, "Only tools of the upstream server orders."),
        ({"policy": "nonsense", "guardrails": [], "preflight_result": 7}, "Nothing is kept of its guardrails."),
        ({"preflight_result": {"passed": True, "checked": {"tools": 1}}}, "the descriptions of 1 tool were read"),
        (
            {"status": "refused", "preflight_result": {"passed": False, "violations": [{"tool": "t", "violated": 1}]}},
            "Refused: nothing was to be read, 1 violation.",
        ),
        ({"status": "refused"}, "None: it was refused at its preflight."),
        ({}, "None yet."),
        ({"tools_discovered": [{"name": "t\u202e", "version": 3, "digest": "abc"}]}, "t⟦U+202E⟧"),
        ({"steps_refused": 4}, "<strong>4</strong> beyond the limit"),
    ],
)
def test_what_a_session_was_is_said_in_words(world, olga, fields, words):
    assert words in page_of(olga, made(**fields))


def test_a_step_that_runs_says_so(world, olga):
    session = made(steps=1)
    Step.objects.create(session=session, number=2, role="assistant", channel="llm_to_tool", selected_tool="slow")
    Session.objects.update(steps_begun=2)
    page = page_of(olga, session)
    assert "Not ended" in step_in(page, 2)
    assert "it runs, or was cut off" in step_in(page, 2)
    assert "The model asked for slow" in step_in(page, 2)


@pytest.mark.parametrize(("group", "may"), [(OPERATORS, True), (AUDITORS, True), (POLICY_EDITORS, False)])
def test_a_report_of_a_session_is_asked_for_from_its_page(world, group, may):
    session, client = made("run:1"), signed_in(world.person("pat", group))
    link = "/admin/telemetry/report/add/?session=run%3A1&amp;agent=billing-agent"
    assert (link in page_of(client, session)) is may
    assert ("/admin/telemetry/report/add/" in client.get(LIST).content.decode()) is may
    if may:
        assert 'value="run:1"' in client.get(link.replace("&amp;", "&")).content.decode()


def test_a_session_that_is_not_there_is_not_found(world, olga):
    for name in ("7d3c7b8e-0000-4000-8000-000000000000", "nonsense"):
        for path in ("change/", "stop/"):
            assert olga.get(f"{LIST}{name}/{path}").status_code == 404
