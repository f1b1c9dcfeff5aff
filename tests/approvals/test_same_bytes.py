"""For any JSON document: the bytes that are hashed, shown to who decides, and sent to the tool are the same."""

import hashlib
import html
import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from approvals.actions import decide
from approvals.models import PendingAction, Proposal
from observatory.approved import run_approved
from telemetry.canonical import LARGEST_INTEGER, canonical_bytes, parse
from telemetry.recorder import SYSTEM
from telemetry.visible import original
from tests.journeys.proposals import SAME, committed
from tools.actions.tools import save_http_tool
from tools.models import HttpEndpoint, Tool
from tools.registry import Declaration

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.timeout(400)]
EXAMPLES = 110
HIDDEN = "\u202e\u200b\u200d\u2066\ufeff\U000e0100\U000e0041\ufe0f\u00ad\u3164\u2800\u00a0\u2028\x00\x1b\x7f\x85\t\n\r"
texts = st.one_of(
    st.text(max_size=20),
    st.text(st.sampled_from('ab ⟦⟧U+×0218E"\\/' + HIDDEN), max_size=30),
    st.builds(lambda char, times: char * times, st.sampled_from(" a\u200b€"), st.integers(0, 12_000)),
)
numbers = st.one_of(
    st.integers(-LARGEST_INTEGER, LARGEST_INTEGER),
    st.sampled_from([0, LARGEST_INTEGER, -LARGEST_INTEGER, 1e21, 1e22, 5e-324, 1.7976931348623157e308, 0.1, -0.5]),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer() or abs(x) >= 1e21),
)
documents = st.dictionaries(
    texts,
    st.recursive(
        st.one_of(st.none(), st.booleans(), numbers, texts),
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
        max_leaves=12,
    ),
    max_size=5,
)
HARD = [
    {},
    {"": {}, "a": [], "b": [[], {}], "n": None},
    {"⟦U+202E⟧": "\u202e", "text": "</pre><script>alert(1)</script>&amp;&#x41;", "nul": "\x00"},
    {"€": 1, "\U0001f600": 2, "\ufb33": 3, "z": [1e22, 1e-7, 333333333.3333333]},
    {"confirm": True, "tool": "x", "args": {"confirm": False}},
    {"long": "x" * 60_000, "spaces": "a" + " " * 10_000 + "b"},
]


@pytest.fixture
def endpoint():
    """A server that keeps the bytes of every body, and whose call it was."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.got[self.headers["Idempotency-Key"]] = body
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got = {}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def bob(world):
    browser = Client()
    browser.force_login(world.bob)
    return browser


@pytest.fixture
def anything(world, endpoint, settings):
    """A tool that takes any object, and sends it on."""
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    tool = Tool(name="anything", executor="http", network="yes")
    address = HttpEndpoint(method="POST", url=f"http://127.0.0.1:{endpoint.server_address[1]}/")
    declaration = Declaration("anything", "Anything", "Takes any object.", {"type": "object"}, None, {}, {})
    save_http_tool(tool, declaration, address, SYSTEM)


def shown(browser, action):
    """The document that the page of the action shows, read as a person would: from the page's text."""
    page = browser.get(f"/admin/approvals/pendingaction/{action.pk}/change/").content.decode()
    (text,) = re.findall(r'<pre class="json-block panel" id="arguments">(.*?)</pre>', page, re.DOTALL)
    text = html.unescape(text)
    assert all(char == "\n" or char.isprintable() for char in text), "something in it can't be seen"
    return json.loads(original(text))


def assert_same(document, action, seen, sent):
    """Meant, hashed, shown, and sent."""
    assert hashlib.sha256(sent).hexdigest() == action.args_digest
    assert canonical_bytes(seen) == sent
    assert sent == canonical_bytes(document)
    assert parse(sent, max_bytes=len(sent)) == document


def held_then_run(world, caller, document):
    body = caller.call("anything", json.dumps(document)).json()
    action = PendingAction.objects.get(pk=body["pending_action_id"])
    decide(
        action.pk, world.bob, approve=True, reason="", via="admin", now=timezone.now(), seen_digest=action.args_digest
    )
    return action, lambda: run_approved(action.pk, timezone.now()).reason.code == "allowed"


def proposed_then_committed(world, caller, document):
    # The wire's own spelling is not the canonical one: escapes, and spaces between.
    text = json.dumps({"tool": "anything", "args": document, "candidate_outputs": SAME}, indent=1)
    body = caller.post("/proposals", text).json()
    assert canonical_bytes(body["tool_args"]) == canonical_bytes(document)
    action = PendingAction.objects.get(pk=body["proposal_id"])
    assert Proposal.objects.get(pk=action.pk).args_digest == action.args_digest
    return action, lambda: committed(caller, body).json()["status"] == "committed"


WAYS = {
    "held": (held_then_run, "require_approval"),
    "proposed": (proposed_then_committed, "require_two_phase"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("anything")
def test_what_is_hashed_shown_and_sent_is_the_same(world, endpoint, bob, way):
    ask, effect = WAYS[way]
    policy = world.policy("any", {"tools": "*", "effect": "allow"}, {"tools": "anything", "effect": effect})
    caller, reached = world.caller(policy), Counter()

    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(documents)
    def check(document):
        with transaction.atomic():
            action, run = ask(world, caller, document)
            assert str(action.pk) not in endpoint.got
            seen = shown(bob, action)
            assert run()
            assert_same(document, action, seen, endpoint.got[str(action.pk)])
            reached["dispatched"] += 1
            reached["hidden characters"] += any(char in canonical_bytes(document).decode() for char in HIDDEN[:10])
            reached["escapes"] += b"\\" in endpoint.got[str(action.pk)]
            transaction.set_rollback(True)

    for document in HARD:
        check = example(document)(check)
    check()
    assert reached["dispatched"] >= 100
    assert min(reached["hidden characters"], reached["escapes"]) > 10
