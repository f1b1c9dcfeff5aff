"""What the page on alerts tells a receiver to do, done to messages that were really sent."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from telemetry.delivery.webhook import new_secret
from telemetry.metrics.definitions import METRICS
from telemetry.models import AlertRule
from tests.telemetry.alerts.figures import NOON
from tests.telemetry.delivery.messages import SECRET, alert, channel, received, send, waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("opened")]
PAGE = (Path(settings.BASE_DIR) / "docs/how-to/be-alerted.md").read_text(encoding="utf-8")


@pytest.fixture
def verified():
    names = {}
    [block] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(block, "be-alerted.md", "exec"), names)
    return names["verified"]


def test_the_ten_lines_verify_what_is_sent_and_nothing_else(listen, verified):
    receiver = listen()
    waiting(channel(url=receiver.url()), alert())
    send()
    [one] = received(receiver)
    now = NOON.timestamp()
    assert verified(SECRET, one.headers, one.body, now)
    assert not verified(new_secret(), one.headers, one.body, now)
    assert not verified(SECRET, one.headers, one.body.replace(b"0.25", b"0.01"), now)
    assert not verified(SECRET, one.headers | {"webhook-id": "another"}, one.body, now)
    assert not verified(SECRET, one.headers | {"webhook-timestamp": str(int(now) + 1)}, one.body, now)
    assert not verified(SECRET, one.headers, one.body, now + 301)


def test_the_page_shows_the_fields_that_are_sent(listen):
    receiver = listen()
    waiting(channel(url=receiver.url()), alert())
    send()
    [one] = received(receiver)
    shown = set(re.findall(r'"(\w+)":', re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])) - {"tool_name", "service"}
    assert shown <= {*one.json, *one.json["data"]}


def test_the_number_of_rules_is_the_one_that_the_page_tells(world):
    assert AlertRule.objects.count() == 17
    assert "Seventeen rules" in PAGE
    assert all(rule.metric in METRICS for rule in AlertRule.objects.all())
