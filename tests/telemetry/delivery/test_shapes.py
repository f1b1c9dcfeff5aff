"""What each kind of channel sends has the shape that its receiver documents, and holds nothing that could do harm."""

import base64
import email.policy
import hashlib
import hmac
from email import message_from_string
from pathlib import Path

import pytest
from django.core import mail

from telemetry.delivery.email import NO_SERVER
from telemetry.delivery.letter import Letter
from telemetry.delivery.pagerduty import payload_of as pagerduty_payload
from telemetry.delivery.slack import payload_of as slack_payload
from telemetry.delivery.webhook import new_secret, signature
from telemetry.models import AlertInstance
from tests.telemetry.alerts.figures import NOON
from tests.telemetry.delivery.messages import MESSAGE, SECRET, alert, channel, received, send, waiting
from tests.telemetry.egress.peer import resolving

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("opened")]
HOSTILE = '<!channel> <https://evil.example|click> & "quotes"\u202e\r\nBcc: all@example.com'


def letter(kind="firing", **changes):
    return Letter("3a1c", kind, "alert.episode", MESSAGE | changes, NOON)


# webhook


def verified(secret, one):
    """As the specification says to verify, written apart from the sender."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{one.headers['webhook-id']}.{one.headers['webhook-timestamp']}.".encode() + one.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = [word.split(",", 1) for word in one.headers["webhook-signature"].split()]
    return any(version == "v1" and hmac.compare_digest(word, expected) for version, word in given)


def test_the_signature_is_that_of_the_specification():
    # The example of the Standard Webhooks specification.
    secret, id_, at = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(secret, id_, at, b'{"test": 2432232314}') == expected


def test_a_webhook_is_signed_and_says_what_happened(listen):
    receiver = listen()
    told = waiting(channel(url=receiver.url("/hook")), alert())
    send()
    [one] = received(receiver)
    assert one.path == "/hook"
    assert one.headers["content-type"] == "application/json"
    assert one.headers["webhook-id"] == str(told.pk)
    assert one.headers["webhook-timestamp"] == str(int(NOON.timestamp()))
    assert verified(SECRET, one)
    assert not verified(new_secret(), one)
    body = one.json
    assert (body["type"], body["timestamp"]) == ("alert.firing", NOON.isoformat())
    data = body["data"]
    assert (data["key"], data["labels"], data["value"], data["threshold"]) == (
        "error_rate_above_threshold",
        {"tool_name": "create_ticket"},
        0.25,
        0.1,
    )


def test_while_a_secret_is_replaced_both_verify(listen):
    from telemetry.delivery.channels import sealed

    receiver = listen()
    hook, before = channel(url=receiver.url()), new_secret()
    hook.sealed_previous, hook.previous_until = sealed(hook, before), NOON.replace(hour=13)
    hook.save()
    one = alert()
    waiting(hook, one)
    waiting(hook, one, "resolved", 2, next_attempt_at=NOON.replace(hour=13))
    AlertInstance.objects.update(state="resolved")
    send()
    send(3600)
    during, after = received(receiver)
    assert verified(SECRET, during)
    assert verified(before, during)
    assert verified(SECRET, after)
    assert not verified(before, after)


# PagerDuty


def test_pagerduty_gets_one_incident_an_episode(listen, monkeypatch):
    receiver = listen()
    one, routing = alert(), "R0UT1NGKEYR0UT1NGKEYR0UT1NGKEY12"
    pager = channel("pagerduty", secret=routing, url=receiver.url("/v2/enqueue"))
    for version, kind in enumerate(("firing", "repeat"), 1):
        waiting(pager, one, kind, version)
        send(version)
    waiting(pager, one, "resolved", 3)
    AlertInstance.objects.update(state="resolved")
    send(9)
    fired, again, over = [sent.json for sent in received(receiver)]
    assert fired["routing_key"] == routing
    assert [event["event_action"] for event in (fired, again, over)] == ["trigger", "trigger", "resolve"]
    assert {event["dedup_key"] for event in (fired, again, over)} == {f"{one.dedupe_key}.{one.episode.hex}"}
    assert len(fired["dedup_key"]) <= 255
    assert set(over) == {"routing_key", "event_action", "dedup_key"}
    payload = fired["payload"]
    assert payload["severity"] in ("critical", "error", "warning", "info")
    assert payload["summary"] == "Fires: A tool fails often (tool create_ticket)"
    assert payload["custom_details"]["value"] == 0.25
    assert set(payload) <= {
        "summary",
        "source",
        "severity",
        "timestamp",
        "component",
        "group",
        "class",
        "custom_details",
    }
    assert set(fired) <= {
        "routing_key",
        "event_action",
        "dedup_key",
        "payload",
        "client",
        "client_url",
        "images",
        "links",
    }


def test_pagerduty_has_its_own_address(listen, monkeypatch, settings):
    asked = resolving(monkeypatch, {"events.pagerduty.com": ["127.0.0.1"]})
    settings.EGRESS_ALLOWED_NETWORKS = []
    waiting(channel("pagerduty", secret="R0UT1NG"), alert())
    send()
    assert asked == ["events.pagerduty.com"]


def test_a_summary_is_cut_where_pagerduty_takes_no_more():
    event = pagerduty_payload(letter(rule="x" * 5_000), "key")
    assert len(event["payload"]["summary"]) == 1024


# Slack


def test_slack_gets_text_and_blocks_at_its_secret_address(listen):
    receiver = listen()
    waiting(channel("slack", secret=receiver.url("/services/T0/B0/3f9c")), alert())
    send()
    [one] = received(receiver)
    assert one.path == "/services/T0/B0/3f9c"
    assert set(one.json) == {"text", "blocks"}
    assert one.json["text"] == "Fires: A tool fails often (tool create_ticket)"
    header, fields, *_ = one.json["blocks"]
    assert (header["type"], header["text"]["type"]) == ("header", "plain_text")
    assert "25 % (the bound: above 10 %)" in str(fields)


def test_what_slack_gets_fits_and_mentions_nobody():
    payload = slack_payload(
        letter(rule=HOSTILE * 9, labels={"tool_name": HOSTILE * 30}, description=HOSTILE * 99, why=HOSTILE)
    )
    header, fields, description, page = payload["blocks"]
    assert len(header["text"]["text"]) <= 150
    assert len(fields["fields"]) <= 10
    assert all(len(field["text"]) <= 2_000 for field in fields["fields"])
    assert description["text"]["type"] == "plain_text"
    marked = payload["text"] + "".join(field["text"] for field in fields["fields"])
    assert "<!" not in marked
    assert "<http" not in marked
    assert "&lt;!channel&gt;" in marked
    assert page["text"]["text"] == f"<{MESSAGE['page']}|Open the alert>"


# e-mail


@pytest.fixture
def mail_to(settings):
    settings.TELL_BY_EMAIL = True
    settings.DEFAULT_FROM_EMAIL = "observatory@example.com"
    return channel("email", recipients="alice@example.com\n\n bob@example.com \n")


def test_mail_of_one_episode_is_one_thread(mail_to):
    one = alert()
    first = waiting(mail_to, one)
    send()
    waiting(mail_to, one, "resolved", 2)
    AlertInstance.objects.update(state="resolved")
    send(1)
    fired, over = mail.outbox
    assert fired.to == over.to == ["alice@example.com", "bob@example.com"]
    assert fired.from_email == "observatory@example.com"
    assert fired.subject == "[test] Fires: A tool fails often (tool create_ticket)"
    assert over.subject.startswith("[test] Resolved: ")
    for line in ("Calls that failed: 25 % (the bound: above 10 %)", "Tool: create_ticket", MESSAGE["page"]):
        assert line in fired.body
    thread = f"<{one.dedupe_key}.{one.episode.hex}@example.com>"
    assert fired.extra_headers["Message-ID"] == f"<{first.pk}@example.com>"
    assert over.extra_headers["In-Reply-To"] == over.extra_headers["References"] == thread


def test_mail_goes_through_the_installations_own_server(mail_to, settings, tmp_path):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    waiting(mail_to, alert())
    assert send() == 1
    [path] = Path(tmp_path).iterdir()
    parsed = message_from_string(path.read_text(), policy=email.policy.default)
    assert parsed["Subject"] == "[test] Fires: A tool fails often (tool create_ticket)"
    assert parsed["Auto-Submitted"] == "auto-generated"


def test_without_a_mail_server_it_is_given_up_aloud(mail_to, settings):
    settings.TELL_BY_EMAIL = False
    told = waiting(mail_to, alert())
    assert send() == 0
    told.refresh_from_db()
    assert (told.next_attempt_at, told.last_error, mail.outbox) == (None, NO_SERVER, [])


def test_a_mail_server_that_is_not_there_is_asked_again(mail_to, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    told = waiting(mail_to, alert())
    assert send() == 0
    told.refresh_from_db()
    assert told.next_attempt_at is not None
    assert "ConnectionRefusedError" in told.last_error


# secrets


@pytest.mark.parametrize("kind", ["webhook", "slack", "pagerduty"])
def test_no_secret_of_a_channel_is_in_its_row_or_in_what_is_noted(listen, kind):
    receiver = listen(lambda conn: conn.sendall(b"HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\nno"))
    secret = receiver.url("/3f9c-very-secret") if kind == "slack" else "whsec_" + "M2Y5Yy12ZXJ5LXNlY3JldA=="
    url = "" if kind == "slack" else receiver.url()
    made = channel(kind, secret=secret, url=url)
    told = waiting(made, alert())
    send()
    made.refresh_from_db()
    told.refresh_from_db()
    assert "400" in told.last_error
    stored = str({field.name: getattr(made, field.name) for field in made._meta.concrete_fields})
    for text in (stored, told.last_error, str(told.message)):
        assert "3f9c" not in text
        assert "M2Y5" not in text


def test_a_channel_whose_secret_cannot_be_opened_says_so(listen):
    receiver = listen()
    made = channel(url=receiver.url())
    other = channel(name="other", url=receiver.url())
    made.sealed_secret = other.sealed_secret
    made.save()
    told = waiting(made, alert())
    assert send() == 0
    told.refresh_from_db()
    assert "can't be opened" in told.last_error
    assert receiver.requests == []
