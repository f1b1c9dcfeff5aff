"""What a session may do: read strictly, judged in one order, and guessed at only where it is a guess."""

import pytest

from tools.session_policy import (
    MOST_NAMES,
    MOST_STEPS,
    SessionPolicy,
    channel_of,
    dry_run_text,
    judge,
    looks_like_network,
    network_of,
)

REFUSED = [
    ([], "an object"),
    ("allowlist", "an object"),
    ({"allow": []}, "no other members"),
    ({1: []}, "no other members"),
    ({"allowlist": "search"}, "a list of names"),
    ({"allowlist": {"search": 1}}, "a list of names"),
    ({"blocklist": [1]}, "text of 1 to"),
    ({"blocklist": [""]}, "text of 1 to"),
    ({"blocklist": ["x" * 257]}, "text of 1 to"),
    ({"allowlist": [[]]}, "text of 1 to"),
    ({"allowlist": [str(n) for n in range(MOST_NAMES + 1)]}, "at most 500"),
    ({"no_network": 1}, "true or false"),
    ({"no_network": "yes"}, "true or false"),
    ({"dry_run": 0}, "true or false"),
    ({"max_steps": 0}, "from 1 to 10000"),
    ({"max_steps": MOST_STEPS + 1}, "from 1 to 10000"),
    ({"max_steps": True}, "from 1 to 10000"),
    ({"max_steps": 1.0}, "from 1 to 10000"),
    ({"max_steps": "3"}, "from 1 to 10000"),
]
READ = [
    (None, SessionPolicy()),
    ({}, SessionPolicy()),
    ({"allowlist": None, "max_steps": None, "dry_run": None}, SessionPolicy()),
    ({"allowlist": []}, SessionPolicy(allowlist=())),
    ({"allowlist": ["b", "a", "b"]}, SessionPolicy(allowlist=("a", "b"))),
    ({"blocklist": ["b", "a"]}, SessionPolicy(blocklist=("a", "b"))),
    ({"max_steps": 1, "no_network": True}, SessionPolicy(no_network=True, max_steps=1)),
    ({"max_steps": MOST_STEPS}, SessionPolicy(max_steps=MOST_STEPS)),
    ({"allowlist": [str(n) for n in range(MOST_NAMES)]}, SessionPolicy(allowlist=tuple(map(str, range(MOST_NAMES))))),
]
JUDGED = [
    (SessionPolicy(), "t", "undeclared", None),
    (SessionPolicy(), "t", "yes", None),
    (SessionPolicy(allowlist=("t",)), "t", "yes", None),
    (SessionPolicy(allowlist=("u",)), "t", "yes", "session_allowlist"),
    (SessionPolicy(allowlist=()), "t", "no", "session_allowlist"),
    (SessionPolicy(allowlist=("T",)), "t", "no", "session_allowlist"),
    (SessionPolicy(blocklist=("t",)), "t", "no", "session_blocklist"),
    (SessionPolicy(blocklist=("u",)), "t", "no", None),
    (SessionPolicy(allowlist=("t",), blocklist=("t",)), "t", "no", "session_blocklist"),
    (SessionPolicy(no_network=True), "t", "no", None),
    (SessionPolicy(no_network=True), "t", "yes", "no_network"),
    (SessionPolicy(no_network=True), "t", "undeclared", "no_network"),
    (SessionPolicy(no_network=True), "t", "nonsense", "no_network"),
    (SessionPolicy(no_network=True, blocklist=("t",)), "t", "yes", "session_blocklist"),
    (SessionPolicy(no_network=True, allowlist=()), "t", "yes", "session_allowlist"),
    (SessionPolicy(no_network=True, allowlist=("t",)), "t", "yes", "no_network"),
    (SessionPolicy(dry_run=True), "t", "yes", None),
]
DECLARED = [
    ({}, "undeclared"),
    ({"annotations": None}, "undeclared"),
    ({"annotations": {}}, "undeclared"),
    ({"annotations": {"openWorldHint": None}}, "undeclared"),
    ({"annotations": {"openWorldHint": "false"}}, "undeclared"),
    ({"annotations": {"openWorldHint": 0}}, "undeclared"),
    ({"annotations": {"openWorldHint": False}}, "no"),
    ({"annotations": {"openWorldHint": True}}, "yes"),
    ({"network": False, "annotations": {"openWorldHint": True}}, "no"),
    ({"network": True, "annotations": {"openWorldHint": False}}, "yes"),
    ({"network": "no"}, "no"),
    ({"network": "yes"}, "yes"),
    ({"network": "undeclared", "annotations": {"openWorldHint": False}}, "undeclared"),
    ({"network": "maybe"}, "undeclared"),
    ({"network": ["no"]}, "undeclared"),
    ({"network": None, "annotations": {"openWorldHint": False}}, "no"),
]
LOOKS = [
    ("fetch_page", {}, True),
    ("fetchPage", {}, True),
    ("HTTPGet", {}, True),
    ("search_web", {"query": "weather"}, True),
    ("download", None, True),
    ("calculate", {"expression": "1+1"}, False),
    ("prefetcher", {}, False),
    ("calculate", {"note": "see HTTPS://example.com"}, True),
    ("calculate", {"a": {"b": ["x", ("ws://h",)]}}, True),
    ("calculate", {"a": "http is a protocol"}, False),
    ("calculate", {"a": 7, "b": None}, False),
    ("calculate", [[["x"]]], False),
]


@pytest.mark.parametrize(("given", "sentence"), REFUSED)
def test_a_policy_is_refused_with_a_sentence(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        SessionPolicy.from_json(given)


@pytest.mark.parametrize(("given", "policy"), READ)
def test_a_policy_is_read_and_written_as_the_same(given, policy):
    read = SessionPolicy.from_json(given)
    assert read == policy
    assert SessionPolicy.from_json(read.as_json()) == policy


def test_a_policy_made_in_code_is_as_strict_as_one_that_is_read():
    with pytest.raises(ValueError, match="from 1 to"):
        SessionPolicy(max_steps=0)
    with pytest.raises(ValueError, match="a list of names"):
        SessionPolicy(allowlist="search")
    assert SessionPolicy(blocklist=("b", "a", "a")).blocklist == ("a", "b")


@pytest.mark.parametrize(("policy", "tool", "network", "code"), JUDGED)
def test_a_call_is_judged_by_blocklist_then_allowlist_then_network(policy, tool, network, code):
    denial = judge(policy, tool, network)
    assert (denial and denial[0]) == code
    assert denial is None or tool not in denial[1].split()


@pytest.mark.parametrize(("tool", "network"), DECLARED)
def test_a_tool_declares_what_it_says_plainly(tool, network):
    assert network_of(tool) == network


@pytest.mark.parametrize(("tool", "args", "looks"), LOOKS)
def test_a_name_or_an_address_looks_like_network(tool, args, looks):
    assert looks_like_network(tool, args) is looks


def test_a_guess_ends_when_arguments_do_not():
    endless: list[object] = ["x"]
    endless.append(endless)
    assert looks_like_network("calculate", endless) is False
    assert looks_like_network("calculate", {"a": ["x"] * 2_000_000}) is False


@pytest.mark.parametrize(
    ("role", "has_tool", "channel"),
    [
        ("user", False, "user_to_llm"),
        ("user", True, "user_to_llm"),
        ("assistant", True, "llm_to_tool"),
        ("assistant", False, "tool_to_llm"),
        ("tool", False, "tool_to_llm"),
        ("tool", True, "tool_to_llm"),
    ],
)
def test_a_step_has_the_channel_of_its_role(role, has_tool, channel):
    assert channel_of(role, has_tool) == channel


@pytest.mark.parametrize("role", ["", "system", "User"])
def test_a_role_that_there_is_none_of_has_no_channel(role):
    with pytest.raises(ValueError, match="user, assistant or tool"):
        channel_of(role, False)


@pytest.mark.parametrize(("limit", "number", "allowed"), [(None, 10**9, True), (2, 2, True), (2, 3, False)])
def test_a_step_is_allowed_up_to_the_limit(limit, number, allowed):
    assert SessionPolicy(max_steps=limit).allows_step(number) is allowed


def test_a_dry_run_says_what_it_would_have_called():
    assert dry_run_text("search_web") == "[DRY RUN] Would call search_web"
