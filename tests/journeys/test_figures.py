"""Figures at the doors: what an agent did is told to those with the scope, by window and group, and to Prometheus."""

import datetime as dt
import pickle

import pytest
from django.core.cache import cache
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from observatory.doors import metrics
from telemetry.metrics import exposition
from telemetry.metrics.families import MOST_SERIES, families
from telemetry.metrics.rollups import roll_up, watermark
from telemetry.models import AlertInstance, AlertRule, Heartbeat, HourRollup, MinuteRollup, RollupWatermark
from telemetry.models.rollup import THE_REST
from telemetry.tasks import heartbeat
from telemetry.visible import visible
from tests.telemetry.metrics.spans import record, span
from tools.scopes import Scope

pytestmark = pytest.mark.django_db
SOON = dt.timedelta(minutes=2)
FIGURES = "/telemetry/metrics"
OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"


@pytest.fixture
def caller(world):
    """Two calls ran and one was denied, and their minute is summed up."""
    caller = world.caller(world.allowing("search_customer"))
    caller.call("search_customer", {"query": "a"})
    caller.call("search_customer", {"query": "b"})
    caller.call("create_ticket", {"customer_id": world.acme.pk, "title": "no"})
    roll_up(timezone.now() + SOON)
    return caller


def scrape(caller, accept="text/plain"):
    """By (name, labels as a set): each sample's value."""
    answer = caller.get("/metrics", Accept=accept)
    assert answer.status_code == 200, answer.content
    parse = openmetrics_families if "openmetrics" in answer["Content-Type"] else text_families
    samples = [sample for family in parse(answer.content.decode()) for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples), "no series twice"
    return found


def of(samples, name, **labels):
    return [value for (its, given), value in samples.items() if its == name and labels.items() <= dict(given).items()]


def test_what_an_agent_did_is_in_its_figures(caller):
    body = caller.get(FIGURES).json()
    [group] = body["groups"]
    assert (group["labels"], group["samples"]) == ({}, 3)
    metrics = group["metrics"]
    assert (metrics["total_calls"], metrics["denied_calls"], metrics["error_calls"]) == (3, 1, 0)
    assert metrics["avg_cost_usd"] is None, "nothing was priced, so there is no mean price"
    assert 0 < metrics["duration_p50"] <= metrics["duration_p99"] < 60
    assert body["window"]["to"] == body["watermark"] == watermark().isoformat().replace("+00:00", "Z")


def test_figures_by_group_and_filter(caller):
    groups = caller.get(f"{FIGURES}?group_by=tool,agent&window=86400").json()["groups"]
    assert [(group["labels"]["tool"], group["samples"]) for group in groups] == [
        ("search_customer", 2),
        ("create_ticket", 1),
    ]
    assert groups[0]["labels"]["agent"] == "billing-agent"
    [only] = caller.get(f"{FIGURES}?tool=create_ticket&origin=pipeline").json()["groups"]
    assert only["metrics"]["denied_rate"] == 1.0
    [nothing] = caller.get(f"{FIGURES}?service=elsewhere").json()["groups"]
    assert (nothing["metrics"]["total_calls"], nothing["metrics"]["error_rate"]) == (0, None)


@pytest.mark.parametrize(
    "asked",
    [
        *("window=59", "window=61", "window=0", "window=99999999999", "window=x", "since=yesterday"),
        *("group_by=password", "group_by=tool,tool", "group_by=decision", "tool=%00", f"tool={'x' * 151}"),
    ],
)
def test_what_can_not_be_asked_is_refused(caller, asked):
    answer = caller.get(f"{FIGURES}?{asked}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


def test_before_the_first_minute_there_is_no_watermark(world):
    body = world.caller(None).get(FIGURES).json()
    assert body["watermark"] is None
    assert body["groups"][0]["samples"] == 0


@pytest.mark.parametrize(("path", "scope"), [(FIGURES, Scope.TELEMETRY_READ), ("/metrics", Scope.HEALTH_READ)])
def test_each_address_asks_for_its_scope(world, path, scope):
    without = [word for word in Scope.values if word != scope]
    refused = world.caller(None, name="other", scopes=without).get(path)
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert world.caller(None, scopes=[scope]).get(path).status_code == 200
    stranger = world.caller(None)
    stranger.secret = "obs_wrong"
    assert stranger.get(path).status_code == 401


@pytest.mark.parametrize("accept", ["text/plain", "*/*", OPENMETRICS])
def test_prometheus_reads_the_same_in_both_formats(caller, accept):
    heartbeat()
    samples = scrape(caller, accept)
    assert of(samples, "mcp_observatory_calls_total", tool="search_customer", decision="ok") == [2]
    assert of(samples, "mcp_observatory_calls_total", tool="create_ticket", agent="billing-agent") == [1]
    assert of(samples, "mcp_observatory_call_duration_seconds_bucket", tool="search_customer", le="+Inf") == [2]
    assert of(samples, "mcp_observatory_call_duration_seconds_count", tool="search_customer") == [2]
    assert 0 < of(samples, "mcp_observatory_call_duration_seconds_sum", tool="search_customer")[0] < 60
    assert of(samples, "mcp_observatory_beat_age_seconds")[0] < 60
    assert of(samples, "mcp_observatory_partitions_ahead")[0] >= 8
    assert len(of(samples, "mcp_observatory_build_info")) == 1
    month = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()
    assert set(of(samples, "mcp_observatory_calls_created")) == {month}


def test_the_format_is_the_one_that_was_asked_for(caller):
    assert caller.get("/metrics", Accept="text/plain")["Content-Type"].startswith("text/plain; version=0.0.4")
    assert caller.get("/metrics", Accept=OPENMETRICS)["Content-Type"].startswith("application/openmetrics-text")
    assert caller.get("/metrics", Accept="image/png").status_code == 406


def test_everything_that_is_exposed_is_of_a_known_family(caller):
    heartbeat()
    answer = caller.get("/metrics", Accept=OPENMETRICS).content.decode()
    assert {family.name for family in openmetrics_families(answer)} == {family.name for family in families()}


def test_labels_of_any_text_stay_labels(world):
    hostile = 'a"} 1\nmcp_observatory_frozen 99\\'
    record(span(timezone.now(), tool_name=hostile[:64], service="crm", origin="sdk"))
    roll_up(timezone.now() + SOON)
    samples = scrape(world.caller(None))
    assert of(samples, "mcp_observatory_calls_total", tool=visible(hostile)) == [1]
    assert of(samples, "mcp_observatory_frozen") == [0]


@pytest.mark.parametrize("column", ["tool_name", "model", "service", "agent"])
def test_a_secret_for_a_name_leaves_in_no_label(world, column):
    """A caller may put its secret where a name belongs; sums of what is masked alike are one."""
    secrets = [f"sk-ant-api03-{word * 10}"[:64] for word in ("A1b2", "C3d4")]
    record(*(span(timezone.now(), origin="sdk", **{column: secret}) for secret in secrets))
    roll_up(timezone.now() + SOON)
    caller = world.caller(None)
    told = [caller.get(path).content.decode() for path in ("/metrics", f"{FIGURES}?group_by=tool,model,service,agent")]
    assert not [secret for secret in secrets for text in told if secret[13:] in text]
    assert sum(of(scrape(caller), "mcp_observatory_calls_total", origin="sdk")) == 2


def test_alerts_that_fire_are_counted_by_severity(caller):
    rule = AlertRule.objects.create(name="Denials", metric="denied_rate", threshold=0.1, severity="critical")
    now = timezone.now()
    AlertInstance.objects.create(rule=rule, dedupe_key="1", state="firing", since=now, evaluated_at=now)
    AlertInstance.objects.create(rule=rule, dedupe_key="2", state="pending", since=now, evaluated_at=now)
    samples = scrape(caller)
    assert of(samples, "mcp_observatory_alerts_firing", severity="critical") == [1]
    assert of(samples, "mcp_observatory_alerts_firing", severity="warning") == [0]


def test_scrapes_agree_until_there_are_newer_figures(caller, settings):
    """Two processes that read a moment apart tell the same, or a counter would seem to fall."""
    first = scrape(caller)
    HourRollup.objects.update(calls=100)
    assert of(scrape(caller), "mcp_observatory_calls_total") == of(first, "mcp_observatory_calls_total")
    roll_up(timezone.now() + 2 * SOON)
    HourRollup.objects.update(calls=100)
    assert set(of(scrape(caller), "mcp_observatory_calls_total")) == {100}


def _hour(at, name, calls=1):
    fields = {"at": at, "first_at": at, "calls": calls, "buckets": [1], "bucket_spans": [calls]}
    return HourRollup(origin="sdk", kind="tool_call", service="s", tool_name=name, **fields)


def test_series_are_bounded_and_none_falls_as_names_come(world):
    """The family fills up; whoever was there stays and what comes later is summed up as one."""
    caller = world.caller(None)
    month = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    later = month + dt.timedelta(hours=1)
    HourRollup.objects.bulk_create(_hour(month, f"z{n}") for n in range(MOST_SERIES - 10))
    before = scrape(caller)
    HourRollup.objects.bulk_create([_hour(later, f"a{n}", 5) for n in range(50)])
    after = scrape(caller)
    calls = [key for key in before if key[0] == "mcp_observatory_calls_total"]
    assert len(calls) == MOST_SERIES - 10
    assert all(after[key] >= before[key] for key in calls)
    assert len(of(after, "mcp_observatory_calls_total")) == MOST_SERIES
    assert of(after, "mcp_observatory_calls_total", tool=THE_REST) == [41 * 5]
    for family in ("calls_total", "call_duration_seconds_bucket"):
        assert len(of(after, f"mcp_observatory_{family}")) <= MOST_SERIES
    assert sum(of(after, "mcp_observatory_call_duration_seconds_count")) == MOST_SERIES - 10 + 250


def test_reported_names_however_old_they_are_said_to_be_put_no_series_of_ours_out(world):
    caller = world.caller(None)
    month = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    ours = _hour(month + dt.timedelta(hours=2), "ours", 3)
    ours.origin = "pipeline"
    reported = (_hour(month, f"a{n}") for n in range(2 * MOST_SERIES))
    HourRollup.objects.bulk_create([ours, *reported])
    samples = scrape(caller)
    for family in ("calls_total", "call_duration_seconds_count"):
        assert of(samples, f"mcp_observatory_{family}", tool="ours") == [3]


def test_what_is_kept_between_scrapes_is_bounded_whatever_names_there_are(world, monkeypatch):
    kept = []
    monkeypatch.setattr(exposition.cache, "set", lambda key, value, timeout: kept.append(len(pickle.dumps(value))))
    caller = world.caller(None)
    roll_up(timezone.now())
    month = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for names in (2 * MOST_SERIES, 4 * MOST_SERIES):
        HourRollup.objects.bulk_create(_hour(month, f"{names}-{n}") for n in range(names))
        scrape(caller)
    assert kept[1] < 1.1 * kept[0]


def test_one_scrape_asks_as_often_whatever_there_is(caller, django_assert_max_num_queries):
    Heartbeat.objects.all().delete()
    with django_assert_max_num_queries(30) as few:
        scrape(caller)
    month = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    HourRollup.objects.bulk_create(_hour(month, f"tool{n}") for n in range(300))
    cache.clear()
    with django_assert_max_num_queries(len(few)):
        scrape(caller)


def test_groups_are_bounded_by_the_database_and_the_rest_is_counted(world, monkeypatch):
    """Minutes and hours together: the busiest over the whole window are told, with all of their calls."""
    caller = world.caller(None)
    mark = timezone.now().replace(minute=30, second=0, microsecond=0)
    hour = mark.replace(minute=0) - dt.timedelta(hours=2)
    HourRollup.objects.bulk_create(_hour(hour, f"t{n}", 10) for n in range(50))
    fields = {"origin": "sdk", "kind": "tool_call", "service": "s", "buckets": [1]}
    MinuteRollup.objects.bulk_create(
        MinuteRollup(at=mark.replace(minute=5), first_at=mark, tool_name=f"t{n}", calls=n, bucket_spans=[n], **fields)
        for n in range(1, 50)
    )
    RollupWatermark.objects.update_or_create(id=1, defaults={"at": mark})
    monkeypatch.setattr(metrics, "MOST_GROUPS", 3)
    body = caller.get("/telemetry/metrics?window=14400&group_by=tool,service").json()
    assert [(g["labels"]["tool"], g["samples"]) for g in body["groups"]] == [("t49", 59), ("t48", 58), ("t47", 57)]
    assert body["groups_left_out"] == 47
    assert caller.get("/telemetry/metrics?window=14400&tool=nobody&group_by=tool").json()["groups"] == []
    whole = caller.get("/telemetry/metrics?window=14400").json()
    assert (whole["groups"][0]["samples"], whole["groups_left_out"]) == (500 + sum(range(50)), 0)
