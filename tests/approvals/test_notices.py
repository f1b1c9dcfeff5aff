"""People are told once that something waits for them, without what waits; a mail server that fails is asked again."""

import datetime as dt
import socketserver
import threading
from email import message_from_string
from email.policy import default

import pytest
from django.core import mail
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from approvals.actions import decide, is_eligible, is_own
from approvals.models import ActionNotice, PendingAction
from approvals.notices import ATTEMPTS, NOBODY, people_to_tell, send_due
from approvals.tasks import send_notices
from telemetry.models import AuditEvent
from tests.journeys.people import chief, signed_in
from tests.races.threads import at_once
from tools.models import Agent

pytestmark = pytest.mark.django_db
SECRET = "a-very-private-title"


@pytest.fixture(autouse=True)
def _mail(settings):
    settings.TELL_BY_EMAIL = True
    settings.DEFAULT_FROM_EMAIL = "observatory@example.com"
    settings.PUBLIC_URL = "https://observatory.example.com/"


@pytest.fixture
def asker(world):
    policy = world.policy("tickets", {"tools": "*", "effect": "require_approval"})
    return world.caller(policy)


def ask(world, asker):
    body = asker.call("create_ticket", {"customer_id": world.acme.pk, "title": SECRET}).json()
    return PendingAction.objects.get(pk=body["pending_action_id"])


def is_due(notice):
    notice.refresh_from_db()
    ActionNotice.objects.filter(pk=notice.pk).update(next_attempt_at=timezone.now() - dt.timedelta(seconds=1))


def test_who_may_decide_is_told_and_reads_where_but_not_what(world, asker):
    action = ask(world, asker)
    assert send_notices() == 1
    [message] = mail.outbox
    assert message.to == ["bob@example.com"]
    assert message.from_email == "observatory@example.com"
    page = reverse("admin:approvals_pendingaction_change", args=[action.pk])
    assert f"https://observatory.example.com{page}\n" in message.body
    text = message.subject + message.body
    risk, until = action.tool.get_risk_display().lower(), f"{action.expires_at:%H:%M:%S} UTC"
    for word in ("create_ticket", "billing-agent", risk, until):
        assert word in text
    assert SECRET not in text
    assert asker.secret not in text
    event = AuditEvent.objects.get(type="action.noticed")
    assert (event.facts, event.subject_id) == ({"channel": "email", "people": 1}, str(action.pk))
    assert send_notices() == 0
    assert len(mail.outbox) == 1


def test_nothing_is_queued_where_there_is_no_way_to_tell(world, asker, settings):
    settings.TELL_BY_EMAIL = False
    ask(world, asker)
    assert not ActionNotice.objects.exists()


def test_a_notice_is_queued_with_its_action_or_not_at_all(world, asker):
    with transaction.atomic():
        ask(world, asker)
        assert ActionNotice.objects.exists()
        transaction.set_rollback(True)
    assert not ActionNotice.objects.exists()


@pytest.mark.parametrize("over", [{"status": "rejected"}, {"expires_at": True}])
def test_what_does_not_wait_any_more_is_not_told(world, asker, over):
    action = ask(world, asker)
    past = timezone.now() - dt.timedelta(seconds=1)
    fields = {"expires_at": past, "created_at": past - dt.timedelta(hours=1)} if "expires_at" in over else over
    PendingAction.objects.filter(pk=action.pk).update(**fields)
    assert send_notices() == 0
    notice = ActionNotice.objects.get()
    assert (mail.outbox, notice.next_attempt_at, notice.attempts) == ([], None, 0)


TERMS = {
    "by permission": ({}, {}),
    "by group": ({"groups": ["auditors", "policy editors"]}, {}),
    "own too": ({}, {"self_confirm": True}),
}


@pytest.mark.parametrize("terms", TERMS)
def test_who_is_told_are_those_whose_vote_would_count(world, terms):
    rule, switches = TERMS[terms]
    policy = world.policy("p", {"tools": "*", "effect": "require_approval"} | rule, **switches)
    chief(world)
    world.person("fay", "auditors", "policy editors")
    world.person("gil", "policy editors")
    gone = world.person("gone", "operators", "auditors")
    gone.is_active = False
    gone.save()
    action = ask(world, world.caller(policy))
    people = {*type(gone).objects.all()}
    could = {p.username for p in people if is_eligible(action, p) and (action.self_confirm or not is_own(action, p))}
    told = [person.username for person in people_to_tell(action)]
    assert sorted(told) == sorted(could)
    assert len(could) >= 2


def test_who_has_voted_is_not_told_again(world, asker):
    carol = world.person("carol", "operators")
    action = ask(world, asker)
    PendingAction.objects.filter(pk=action.pk).update(quorum=2)
    decide(action.pk, world.bob, approve=True, reason="", via="admin", now=timezone.now())
    assert list(people_to_tell(action)) == [carol]


def test_nobody_to_tell_is_seen_on_the_actions_page(world, asker):
    type(world.bob).objects.update(email="")
    action = ask(world, asker)
    assert send_notices() == 0
    assert mail.outbox == []
    assert NOBODY in page_of(world, action)


def test_names_cannot_write_headers_or_lines(world, asker):
    action = ask(world, asker)
    Agent.objects.filter(pk=action.agent_id).update(name="x\r\nBcc: eve@example.com")
    world.person("eve", "operators")
    type(world.bob).objects.filter(username="eve").update(email="eve@example.com\nBcc: all@example.com")
    assert send_notices() == 1
    [message] = mail.outbox
    assert message.to == ["bob@example.com"]
    assert "\n" not in message.subject
    assert "\nBcc" not in message.body


def page_of(world, action):
    url = reverse("admin:approvals_pendingaction_change", args=[action.pk])
    return signed_in(world.bob).get(url).content.decode()


# a real mail server


class MailServer(socketserver.ThreadingTCPServer):
    """Just enough SMTP (RFC 5321) to take a message, or to refuse it for now."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.refuses, self.messages, self.recipients = False, [], []


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self):
        self.say("220 mail")
        while line := self.rfile.readline():
            verb = line.split()[0].upper()
            if verb == b"QUIT":
                self.say("221 bye")
                return
            if verb == b"RCPT" and self.server.refuses:
                self.say("451 not now")
                continue
            if verb == b"RCPT":
                self.server.recipients.append(line.strip().decode().lower())
            if verb == b"DATA":
                self.say("354 go on")
                self.server.messages.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
            self.say("250 ok")

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")


@pytest.fixture
def mail_server(settings):
    server = MailServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_message_that_is_refused_is_sent_later_and_once(world, asker, mail_server, settings):
    action = ask(world, asker)
    notice = ActionNotice.objects.get()
    mail_server.refuses = True
    before = timezone.now()
    assert send_notices() == 0
    notice.refresh_from_db()
    assert notice.attempts == 1
    assert notice.next_attempt_at - before >= dt.timedelta(seconds=29)
    assert "attempt 1 of 8 failed" in page_of(world, action)
    assert "451" in notice.last_error
    assert send_notices() == 0, "it is not due yet"
    assert not AuditEvent.objects.filter(type="action.noticed").exists()
    mail_server.refuses = False
    is_due(notice)
    assert send_notices() == 1
    assert mail_server.recipients == ["rcpt to:<bob@example.com>"]
    [received] = [message_from_string(text, policy=default) for text in mail_server.messages]
    assert received["Subject"] == f"[{settings.ENVIRONMENT}] Decide: create_ticket for billing-agent"
    assert str(action.pk) in received.get_content()
    assert "People told" in page_of(world, action)


def test_a_mail_server_that_is_not_there_is_given_up_in_sight(world, asker, mail_server, settings):
    first, second = ask(world, asker), ask(world, asker)
    settings.EMAIL_PORT = 1
    delays = []
    for _ in range(ATTEMPTS):
        notice = ActionNotice.objects.get(pending_action=first)
        is_due(notice)
        now = timezone.now()
        send_due(now)
        notice.refresh_from_db()
        delays.append(notice.next_attempt_at and (notice.next_attempt_at - now).total_seconds())
        ActionNotice.objects.filter(pending_action=second).update(next_attempt_at=now + dt.timedelta(hours=1))
    assert delays == [30, 60, 120, 240, 480, 960, 1920, None]
    assert send_notices() == 0
    assert "ConnectionRefusedError" in page_of(world, first)
    assert list(ActionNotice.objects.given_up()) == [notice]
    settings.EMAIL_PORT = mail_server.server_address[1]
    is_due(ActionNotice.objects.get(pending_action=second))
    assert send_notices() == 1
    assert len(mail_server.messages) == 1


def test_a_failure_ends_the_run_and_the_next_run_goes_on(world, asker, mail_server):
    """A server that is down costs one attempt a run; a message that is refused for ever holds up no other."""
    first, second = ask(world, asker), ask(world, asker)
    mail_server.refuses = True
    send_notices()
    assert sorted(ActionNotice.objects.values_list("attempts", flat=True)) == [0, 1]
    mail_server.refuses = False
    assert send_notices() == 1
    assert ActionNotice.objects.get(pending_action=first).sent_at is None
    assert ActionNotice.objects.get(pending_action=second).sent_at


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_workers_at_once_send_each_notice_once(world, mail_server):
    policy = world.policy("tickets", {"tools": "*", "effect": "require_approval"})
    asker = world.caller(policy)
    asked = [str(ask(world, asker).pk) for _ in range(5)]
    assert sum(at_once(8, lambda _: send_due(timezone.now()))) == len(asked)
    assert sorted(pk for pk in asked for text in mail_server.messages if pk in text) == sorted(asked)
    assert AuditEvent.objects.filter(type="action.noticed").count() == len(asked)
