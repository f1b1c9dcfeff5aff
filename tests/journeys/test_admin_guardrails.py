"""Guardrails in admin: how strict they are, detectors of one's own, and what all of them say of a pasted text."""

import json
import logging
import re

import pytest
from django.test import Client
from django.utils.html import escape

from observatory.groups import OPERATORS
from telemetry.detectors.registry import BUILT_IN
from telemetry.models import AuditEvent, GuardrailSettings, Payload, RemoteDetector, Span
from tests.journeys.people import signed_in
from tests.telemetry.egress.peer import sends

pytestmark = pytest.mark.django_db
SETTINGS = "/admin/telemetry/guardrailsettings/"
LIST = "/admin/telemetry/remotedetector/"
TRY = "/admin/try-guardrails/"
AVAILABLE = [one.name for one in BUILT_IN if not one.missing()]
FILLED = {
    "sessions_mode": "advisory",
    "calls_mode": "off",
    **{"pii": "0.5", "secrets": "0.5", "injection": "0.6", "toxicity": "0.8", "custom": "0.5"},
    "asked": [one.name for one in BUILT_IN],
}
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"
CARD = "4111 1111 1111 1111"
SECRET = "S3CRET-of-the-detector"


@pytest.fixture
def olga(world):
    return signed_in(world.person("olga", OPERATORS))


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def agreed_in(answer):
    found = re.search(r'name="agreed" value="([0-9a-f]{64})"', answer.content.decode())
    return found[1] if found else ""


def events(prefix="guardrails."):
    return list(AuditEvent.objects.filter(type__startswith=prefix).order_by("id"))


def answering(body, status="200 OK"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return sends(f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)


def remote(edda, url, /, **fields):
    filled = {"name": "brand-words", "category": "custom", "enabled": "on", "url": url, "timeout_s": "2"}
    return edda.post(f"{LIST}add/", filled | {"secret_header": "Authorization", "secret": SECRET} | fields)


# how strict


def test_stricter_settings_hold_at_once_and_are_on_record(world, edda):
    caller = world.caller(world.allowing())
    assert caller.call("search_customer", {"query": f"my card {CARD}"}).status_code == 200
    answer = edda.post(SETTINGS, FILLED | {"calls_mode": "mixed", "pii": "0.3"})
    assert answer.status_code == 302
    refused = caller.call("search_customer", {"query": f"my card {CARD}"})
    assert (refused.status_code, refused.json()["code"]) == (403, "guardrail_input")
    assert caller.call("search_customer", {"query": "acme"}).status_code == 200
    [event] = events()
    assert event.actor == "edda"
    told = json.loads(event.data)
    assert told["changes"] == [
        {"of": "calls_mode", "from": "off", "to": "mixed"},
        {"of": "pii", "from": 0.5, "to": 0.3},
    ]
    assert told["laxer"] == []
    assert edda.post(SETTINGS, FILLED | {"calls_mode": "mixed", "pii": "0.3"}).status_code == 302
    assert len(events()) == 1, "nothing was changed"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"calls_mode": "advisory"}, "Calls outside sessions: “Advisory: recorded only” instead of “Mixed"),
        ({"sessions_mode": "advisory"}, "Sessions: “Advisory"),
        ({"pii": "0.9"}, "A violation of personal data is a score above 0.9, no longer above 0.5."),
        ({"secrets": "1"}, "A violation of secrets is a score above 1, no longer above 0.5."),
        ({"asked": ["pii", "injection", "toxicity", "presidio"]}, "secrets: not asked any more."),
    ],
)
def test_what_is_laxer_is_said_and_saved_only_when_agreed_to(edda, change, said):
    strict = FILLED | {"sessions_mode": "mixed", "calls_mode": "mixed"}
    edda.post(SETTINGS, strict)
    before = GuardrailSettings.objects.values().get()
    answer = edda.post(SETTINGS, strict | change | {"custom": "0.4"})
    assert answer.status_code == 200
    page = text_of(answer.content.decode())
    assert f"Laxer: {said}" in page
    assert "A violation of what your own detectors look for is a score above 0.4" in page
    assert GuardrailSettings.objects.values().get() == before
    assert len(events()) == 1
    agreed = agreed_in(answer)
    assert edda.post(SETTINGS, strict | change | {"custom": "0.4", "agreed": agreed}).status_code == 302
    assert len(events()) == 2
    assert json.loads(events()[-1].data)["laxer"] != []


def test_an_agreement_is_to_one_change_only(edda, world):
    agreed = agreed_in(edda.post(SETTINGS, FILLED | {"pii": "0.7"}))
    assert agreed
    other = edda.post(SETTINGS, FILLED | {"pii": "0.9", "agreed": agreed})
    assert agreed_in(other) not in ("", agreed)
    somebody = signed_in(world.person("erik", "policy editors"))
    assert somebody.post(SETTINGS, FILLED | {"pii": "0.1"}).status_code == 302
    again = edda.post(SETTINGS, FILLED | {"pii": "0.7", "agreed": agreed})
    assert agreed_in(again) not in ("", agreed)
    assert "no longer above 0.1" in text_of(again.content.decode())
    assert GuardrailSettings.objects.get().pii == 0.1


@pytest.mark.parametrize(
    "wrong",
    [{"pii": "1.1"}, {"secrets": "-0.1"}, {"calls_mode": "some"}, {"asked": ["no_such"]}, {"injection": "much"}],
)
def test_settings_that_can_not_stand_are_refused_in_the_form(edda, wrong):
    answer = edda.post(SETTINGS, FILLED | wrong)
    assert answer.status_code == 200
    assert "errors" in answer.content.decode()
    assert not GuardrailSettings.objects.exists()
    assert events() == []


def test_operators_look_at_settings_and_change_none(olga, world):
    page = olga.get(SETTINGS).content.decode()
    assert "You may look, and not save." in page
    assert olga.post(SETTINGS, FILLED | {"pii": "0.1"}).status_code == 403
    assert signed_in(world.charlie).get(SETTINGS).status_code == 403
    assert not GuardrailSettings.objects.exists()
    assert olga.get(f"{SETTINGS}1/change/").status_code == 302
    for path in ("add/", "1/delete/"):
        assert olga.post(f"{SETTINGS}{path}", {}).status_code in (302, 403)
    assert not GuardrailSettings.objects.exists()


def test_built_in_detectors_say_what_they_lack(edda):
    page = text_of(edda.get(SETTINGS).content.decode())
    for detector in BUILT_IN:
        assert f"{detector.name} " in page
        for package in detector.missing():
            assert re.search(rf"(pip install|spacy download) {re.escape(package)}", page), package
    edda.post(SETTINGS, FILLED | {"asked": ["pii"], "agreed": ""})
    agreed = agreed_in(edda.post(SETTINGS, FILLED | {"asked": ["pii"]}))
    edda.post(SETTINGS, FILLED | {"asked": ["pii"], "agreed": agreed})
    assert text_of(edda.get(SETTINGS).content.decode()).count("switched off") == len(BUILT_IN) - 1
    tried = edda.post(TRY, {"text": f"{TOKEN} and {CARD}"}).context["tried"]
    assert [row["name"] for row in tried["rows"]] == ["pii"]


# detectors elsewhere


def test_a_detector_elsewhere_is_asked_by_calls_with_its_credential(world, edda, listen, opened):
    listener = listen(answering({"score": 0.9, "kinds": {"brand": 2}}))
    assert remote(edda, listener.url("/score?key=1")).status_code == 302
    edda.post(SETTINGS, FILLED | {"calls_mode": "hard_gate"})
    refused = world.caller(world.allowing()).call("search_customer", {"query": "acme"})
    assert (refused.status_code, refused.json()["code"]) == (403, "guardrail_input")
    assert "brand-words found brand x2" in refused.json()["detail"]
    assert f"Authorization: Bearer {SECRET}".encode() in listener.requests[-1]
    [created] = events("remote_detector.")
    assert (created.type, created.actor, created.subject) == ("remote_detector.created", "edda", "brand-words")
    row = RemoteDetector.objects.get()
    assert SECRET.encode() not in bytes(row.sealed_secret)
    for text in (created.data, edda.get(f"{LIST}{row.pk}/change/").content.decode(), edda.get(LIST).content.decode()):
        assert SECRET not in text
    assert "key=1" not in created.data


def test_a_detector_elsewhere_is_changed_switched_off_and_removed(world, edda, listen, opened):
    listener = listen(answering({"score": 1}))
    remote(edda, listener.url())
    row = RemoteDetector.objects.get()
    kept = bytes(row.sealed_secret)
    change = f"{LIST}{row.pk}/change/"
    same = {"name": "brand-words", "category": "custom", "url": row.url, "secret_header": "Authorization"}
    assert edda.post(change, same | {"timeout_s": "5", "secret": ""}).status_code == 302
    row.refresh_from_db()
    assert (row.enabled, row.timeout_s, bytes(row.sealed_secret)) == (False, 5, kept)
    edda.post(SETTINGS, FILLED | {"calls_mode": "hard_gate"})
    assert world.caller(world.allowing()).call("search_customer", {"query": "acme"}).status_code == 200
    assert edda.post(change, same | {"timeout_s": "5", "secret_header": ""}).status_code == 302
    row.refresh_from_db()
    assert row.sealed_secret is None
    remove = f"{LIST}{row.pk}/remove/"
    assert "No text is sent to it from now on" in edda.get(remove).content.decode()
    assert RemoteDetector.objects.exists(), "looking changes nothing"
    assert edda.post(remove, {"reason": "over"}).status_code == 302
    assert not RemoteDetector.objects.exists()
    assert [event.type for event in events("remote_detector.")] == [
        f"remote_detector.{what}" for what in ("created", "changed", "changed", "removed")
    ]
    assert "over" in events("remote_detector.")[-1].data
    assert edda.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code in (302, 403, 404)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "secrets"}, "name"),
        ({"name": "none"}, "name"),
        ({"url": "http://example.com/score"}, "url"),
        ({"url": "https://10.0.0.1/score"}, "url"),
        ({"url": "https://user:word@example.com/"}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"secret_header": "Content-Length"}, "secret_header"),
        ({"secret_header": "Content-Type"}, "secret_header"),
        ({"secret_header": "X Y"}, "secret_header"),
        ({"secret_header": ""}, "secret_header"),
        ({"secret": ""}, "secret"),
        ({"secret": "schlüssel"}, "secret"),
        ({"timeout_s": "31"}, "timeout_s"),
        ({"category": "all"}, "category"),
    ],
)
def test_a_detector_that_can_not_stand_is_refused_at_its_field(edda, closed, fields, field):
    answer = remote(edda, "https://detector.example.com/score", **fields)
    assert answer.status_code == 200
    assert list(answer.context["adminform"].form.errors) == [field]
    assert not RemoteDetector.objects.exists()
    assert events("remote_detector.") == []


def test_a_name_is_taken_once(edda):
    assert remote(edda, "https://detector.example.com/score").status_code == 302
    answer = remote(edda, "https://detector.example.com/score")
    assert list(answer.context["adminform"].form.errors) == ["name"]


@pytest.mark.parametrize(
    ("url", "secret", "saved"),
    [
        ("https://detector.example.com/other", "", True),
        ("https://elsewhere.example.com/score", "", False),
        ("https://detector.example.com:8443/score", "", False),
        ("https://elsewhere.example.com/score", "typed again", True),
    ],
)
def test_a_credential_goes_to_no_other_host_untyped(edda, url, secret, saved):
    remote(edda, "https://detector.example.com/score")
    row = RemoteDetector.objects.get()
    filled = {"name": row.name, "category": "custom", "enabled": "on", "timeout_s": "2", "url": url}
    answer = edda.post(f"{LIST}{row.pk}/change/", filled | {"secret_header": "Authorization", "secret": secret})
    assert (answer.status_code == 302) is saved
    row.refresh_from_db()
    assert (row.url == url) is saved


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (answering({"score": 0.25, "kinds": {"brand": 1}}), "Score 0.25, brand ×1"),
        (answering({"score": 0}), "Score 0, in"),
        (answering({"score": 2}), "It can't be asked: its answer is not"),
        (answering(b"no json"), "It can't be asked: its answer is not"),
        (answering({}, "503 Busy"), "It can't be asked: it answered 503 instead of 200."),
        (answering({}, "302 Found"), "It can't be asked: it answered with a redirect"),
        (sends(close=True), "It can't be asked: it broke off"),
    ],
)
def test_a_test_shows_the_score_or_why_there_is_none(edda, listen, opened, answer, said):
    listener = listen(answer)
    remote(edda, listener.url())
    test = f"{LIST}{RemoteDetector.objects.get().pk}/test/"
    page = edda.get(test).content.decode()
    assert "This sentence is sent to it" in page
    assert listener.requests == []
    tested = edda.post(test).content.decode()
    assert escape(said) in tested
    assert SECRET not in tested
    assert b"The weather is fine" in listener.requests[0]


def test_a_test_says_where_an_address_is_refused_or_a_credential_lost(edda, listen, opened, settings):
    listener = listen(answering({"score": 1}))
    remote(edda, listener.url())
    row = RemoteDetector.objects.get()
    settings.EGRESS_ALLOWED_NETWORKS = []
    assert "OBSERVATORY_EGRESS_ALLOW opens one" in edda.post(f"{LIST}{row.pk}/test/").content.decode()
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    settings.MASTER_SECRET = "another master secret of quite some length"
    assert "can&#x27;t be opened with the present keys" in edda.post(f"{LIST}{row.pk}/test/").content.decode()
    assert listener.requests == []


def test_operators_look_at_detectors_and_change_none(edda, olga):
    remote(edda, "https://detector.example.com/score")
    row = RemoteDetector.objects.get()
    page = olga.get(f"{LIST}{row.pk}/change/").content.decode()
    assert "detector.example.com" in page
    assert 'name="secret"' not in page
    assert remote(olga, "https://detector.example.com/score", name="mine").status_code == 403
    for path in ("change/", "remove/", "test/", "delete/"):
        assert olga.post(f"{LIST}{row.pk}/{path}", {}).status_code == 403, path
    assert len(events("remote_detector.")) == 1


# a text, tried


@pytest.mark.parametrize(
    ("text", "marked", "row"),
    [
        (f"my card {CARD} is", [(CARD, "card")], ("pii", True, ["recorded", "denied", "denied"])),
        (f"use {TOKEN} here", [(TOKEN, None)], ("secrets", True, ["recorded", "denied", "denied"])),
        ("The build is green.", [], ("pii", False, ["–", "–", "–"])),
        ("line one\r\nann@example.com", [("ann@example.com", "email")], ("secrets", False, ["–", "–", "–"])),
    ],
)
def test_a_text_is_shown_with_what_was_found_in_it(olga, text, marked, row):
    answer = olga.post(TRY, {"text": text})
    tried = answer.context["tried"]
    found = {one["name"]: one for one in tried["rows"]}
    assert list(found) == AVAILABLE
    name, violated, modes = row
    assert (found[name]["violated"], [one["word"] for one in found[name]["modes"]]) == (violated, modes)
    shown = [(piece.text, piece.kinds) for piece in tried["pieces"] if piece.kinds]
    assert [one[0] for one in shown] == [one[0] for one in marked]
    for (_, kinds), (_, expected) in zip(shown, marked, strict=True):
        assert expected is None or expected in kinds
    assert "".join(piece.text for piece in tried["pieces"]) == text.replace("\r\n", "\n")
    assert all(one["took_ms"] > 0 for one in tried["rows"])


def test_what_would_become_of_a_text_follows_the_settings(edda, olga):
    def words():
        return [(where, word) for where, _, _, word in olga.post(TRY, {"text": CARD}).context["tried"]["in_force"]]

    assert words() == [("In a session", "recorded, and goes through"), ("Outside sessions", "not looked at")]
    edda.post(SETTINGS, FILLED | {"sessions_mode": "mixed", "calls_mode": "advisory"})
    assert words() == [("In a session", "denied"), ("Outside sessions", "recorded, and goes through")]


def test_a_tried_text_is_escaped_and_hides_nothing(olga):
    text = f"<script>alert(1)</script>\u202e{CARD}\u200b<b>&amp;"
    page = olga.post(TRY, {"text": text}).content.decode()
    shown = page[page.index('id="tried-text"') : page.index('id="try-form"')]
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;⟦U+202E⟧" in shown
    assert "⟦U+200B⟧&lt;b&gt;&amp;amp;" in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize(("size", "read"), [(65_536, True), (65_537, False)])
def test_a_text_has_at_most_64_kib(olga, size, read):
    answer = olga.post(TRY, {"text": "ä" * (size // 2) + "a" * (size % 2)})
    assert answer.status_code == 200
    assert (answer.context["tried"] is not None) is read
    assert ("at most 65,536 are read" in answer.content.decode()) is not read


def test_a_tried_text_is_kept_and_logged_nowhere(olga, caplog):
    before = [table.objects.count() for table in (AuditEvent, Payload, Span)]
    with caplog.at_level(logging.DEBUG):
        olga.post(TRY, {"text": f"canary-7391 {CARD} {TOKEN}"})
    assert [table.objects.count() for table in (AuditEvent, Payload, Span)] == before
    assert "canary-7391" not in caplog.text
    page = olga.get(TRY).content.decode()
    assert "canary-7391" not in page
    assert 'id="tried-text"' not in page


def test_trying_needs_the_permission_and_the_token(world, olga):
    assert signed_in(world.charlie).post(TRY, {"text": "a"}).status_code == 403
    assert Client().post(TRY, {"text": "a"}).status_code == 302
    strict = signed_in(world.alice, enforce_csrf_checks=True)
    assert strict.post(TRY, {"text": "a"}).status_code == 403
    assert olga.post(TRY, {"text": ""}).context["tried"] is None


@pytest.mark.parametrize(("ticked", "asked"), [({}, 0), ({"ask_remote": "on"}, 1)])
def test_detectors_elsewhere_get_a_tried_text_only_where_that_is_ticked(edda, listen, opened, ticked, asked):
    listener = listen(answering({"score": 0.9, "kinds": {"brand": 1}}))
    assert 'name="ask_remote"' not in edda.get(TRY).content.decode()
    remote(edda, listener.url())
    assert 'name="ask_remote"' in edda.get(TRY).content.decode()
    answer = edda.post(TRY, {"text": "acme acme"} | ticked)
    assert len(listener.requests) == asked
    names = [row["name"] for row in answer.context["tried"]["rows"]]
    assert ("brand-words" in names) is bool(asked)
    assert answer.context["tried"]["of_the_whole"] == (["brand"] if asked else [])
    assert not any(piece.kinds for piece in answer.context["tried"]["pieces"])


def test_a_detector_that_can_not_say_is_a_violation(edda, listen, opened):
    remote(edda, listen(answering({}, "500 Broken")).url())
    tried = edda.post(TRY, {"text": "acme", "ask_remote": "on"}).context["tried"]
    row = tried["rows"][-1]
    assert (row["violated"], row["why"], [one["word"] for one in row["modes"]]) == (
        True,
        "status_500",
        ["recorded", "recorded", "denied"],
    )
