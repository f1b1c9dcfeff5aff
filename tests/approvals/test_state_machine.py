"""Any order of acts: proposals, decisions, commits, changes, crashes and sweeps; the laws hold after each of them.

A property test can pass without having met anything, so what was reached is counted, and the counts are asserted.
"""

import itertools
import sys
import uuid
from collections import Counter
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from approvals.actions import cancel, decide, expire_overdue, is_own, revoke_what_changed
from approvals.commit_token import Claims, mint
from approvals.models import Commit, Nonce, PendingAction, SigningKey
from approvals.signing_keys import active_key, revoke, rotate, signing_secret
from approvals.states import BURNT, MOVES, TERMINAL, Status
from approvals.tasks import sweep_nonces
from approvals.transitions import EVENTS, record_result
from observatory.approved import run_ready
from observatory.demo.models import Message, Ticket
from observatory.tasks import recover_actions
from telemetry.models import AuditEvent
from telemetry.recorder import SYSTEM, Actor
from tests.journeys.proposals import APART, SAME, committed
from tests.races.lapsing import expire, run_out
from tests.world import Caller
from tools.actions.agents import issue_key, revoke_key
from tools.actions.policies import publish
from tools.actions.switches import engage, release
from tools.contract import Permit, Stop
from tools.idempotency import store_answer
from tools.models import AgentKey, KillSwitch, Tool

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.timeout(600)]
STATUS_OF = {word: status for status, word in EVENTS.items()}
REASONS = (
    "bad_signature",
    "expired",
    "unknown_proposal",
    "args_hash_mismatch",
    "nonce_replay",
    "not_approved",
    "policy_changed",
    "key_revoked",
    "frozen",
)


class TwoPhases(RuleBasedStateMachine):
    """One example: some proposals of three agents, in a transaction that is rolled back at its end."""

    scene: "Scene"
    proposals = Bundle("proposals")

    def __init__(self) -> None:
        super().__init__()
        self.undo = transaction.atomic()
        self.undo.__enter__()
        self.known: dict[str, dict[str, Any]] = {}
        self.ended: dict[str, str] = {}
        self.lost: list[Permit] = []
        self.switch: KillSwitch | None = None
        self.callers = dict(self.scene.callers)
        self.reached["examples"] += 1

    @property
    def reached(self) -> Counter[str]:
        return self.scene.reached

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undo.__exit__(None, None, None)

    # the agents

    @initialize(target=proposals)
    def begin(self) -> Any:
        return multiple(self._propose("plain"), self._propose("twice"), self._propose("waits"))

    @rule(target=proposals, kind=st.sampled_from(["plain", "plain", "twice", "blocked", "waits", "waits"]))
    def propose(self, kind: str) -> Any:
        proposal = self._propose(kind)
        return multiple() if proposal is None else proposal

    def _propose(self, kind: str) -> str | None:
        caller = self.caller_for(kind)
        text = f"proposal {len(self.known)}"
        tool, arguments = self.scene.call_of(kind, text)
        outputs = APART if kind == "blocked" else SAME
        body = caller.post(
            "/proposals", {"tool": tool, "args": arguments, "prompt": text, "candidate_outputs": outputs}
        )
        found = body.json()
        self.reached[f"proposed: {found.get('status') or found['code']}"] += 1
        if "proposal_id" not in found:
            return None
        self.known[found["proposal_id"]] = found | {"kind": kind, "text": text}
        return str(found["proposal_id"])

    def caller_for(self, kind: str) -> Any:
        return self.callers["waiting" if kind == "waits" else "plain"]

    @rule(proposal=proposals, fresh=st.sampled_from([True, True, False]))
    def commit(self, proposal: str, fresh: bool) -> None:
        """With the token that the agent is given now, or with the one that it has kept."""
        mine = self.known[proposal]
        caller = self.caller_for(mine["kind"])
        if fresh or not mine.get("commit_token"):
            found = caller.get(f"/proposals/{proposal}").json()
            mine["commit_token"] = found.get("commit_token") or mine.get("commit_token")
        if mine["commit_token"]:
            self._commit(caller, proposal, mine["commit_token"], mine["tool_args"])

    @rule(proposal=proposals, how=st.sampled_from(["other arguments", "stolen", "forged", "crossed", "minted"]))
    def commit_wrongly(self, proposal: str, how: str) -> None:
        mine = self.known[proposal]
        token, arguments = mine.get("commit_token") or self._minted(proposal), dict(mine["tool_args"])
        if how == "other arguments":
            arguments |= {"title": "Something else"}
        elif how == "forged":
            token = token[:-6] + "AAAAAA"
        elif how == "minted":
            token = self._minted(proposal)
        elif how == "crossed":
            token = next(iter(self.known.values())).get("commit_token") or token
        caller = self.callers["thief"] if how == "stolen" else self.caller_for(mine["kind"])
        self._commit(caller, proposal, token, arguments)

    def _minted(self, proposal: str) -> str:
        """A genuine token that nobody was given: of what is blocked, waits, or is over."""
        action = PendingAction.objects.get(pk=proposal)
        now, key = int(timezone.now().timestamp()), active_key()
        claims = Claims(
            token_id=str(uuid.uuid4()),
            proposal_id=proposal,
            tool_name=action.tool.name,
            tool_args_hash=action.args_digest,
            issued_at=now,
            expires_at=now + 600,
            nonce=uuid.uuid4().hex,
            composite_score=0.0,
            env=django_settings.ENVIRONMENT,
            agent_key=action.agent_key.public_id,
            policy_revision=action.policy_revision.number,
        )
        return mint(claims, key.kid, signing_secret(key))

    def _commit(self, caller: Caller, proposal: str, token: str, arguments: Any) -> None:
        mine = self.known[proposal]
        before = self.effects(mine)
        answer = committed(caller, {"proposal_id": proposal, "commit_token": token, "tool_args": arguments})
        body = answer.json()
        self.reached[f"committed: {body.get('reason') or body.get('code') or body['status']}"] += 1
        # An effect came of a commit that said so, and of no other.
        assert self.effects(mine) - before == (answer.status_code == 200)

    # people

    @rule(
        proposal=proposals,
        who=st.sampled_from(["bob", "carol", "bob", "carol", "alice", "charlie"]),
        approve=st.sampled_from([True, True, True, False]),
    )
    def vote(self, proposal: str, who: str, approve: bool) -> None:
        voter = self.scene.people[who]
        answer = decide(proposal, voter, approve=approve, reason="", via="admin", now=timezone.now())
        self.reached[f"vote: {answer.code if isinstance(answer, Stop) else answer.action.status}"] += 1

    @rule(proposal=proposals)
    def go_the_right_way(self, proposal: str) -> None:
        if PendingAction.objects.get(pk=proposal).status == Status.PENDING:
            for who in ("bob", "carol"):
                self.vote(proposal, who, True)
        self.commit(proposal, True)

    @rule(
        proposal=proposals,
        what=st.sampled_from(["publish", "publish", "replace key", "freeze", "rotate", "revoke"]),
        sweep=st.booleans(),
    )
    def change(self, proposal: str, what: str, sweep: bool) -> None:
        """And then somebody commits what they were given before; the sweep may come first."""
        self._change(what, self.known[proposal]["kind"] == "waits")
        if sweep:
            self.sweep("revoke")
        self.commit(proposal, False)

    def _change(self, what: str, which: bool) -> None:
        name = "waiting" if which else "plain"
        if self.switch is not None:
            release(self.switch, SYSTEM, timezone.now())
            self.switch = None
        elif what == "freeze":
            self.switch = engage(KillSwitch(scope="everything", reason="INC-7"), SYSTEM)
        elif what == "publish":
            publish(self.callers[name].key.policy, SYSTEM)
        elif what == "replace key":
            self.callers[name] = self._replaced(self.callers[name])
        elif what == "rotate":
            rotate(SYSTEM, timezone.now())
        elif key := SigningKey.objects.filter(status="active").first():
            revoke(key.kid, SYSTEM, timezone.now(), "leaked")

    def _replaced(self, caller: Caller) -> Caller:
        old = AgentKey.objects.get(pk=caller.key.pk)
        new = AgentKey(agent=old.agent, owner=old.owner, policy=old.policy, scopes=old.scopes, rate=old.rate)
        secret = issue_key(new, SYSTEM).text
        revoke_key(old, SYSTEM, timezone.now())
        return Caller(new, secret)

    # time and crashes

    @rule(proposal=proposals, what=st.sampled_from(["too late", "taken back"]), sweep=st.booleans())
    def end_otherwise(self, proposal: str, what: str, sweep: bool) -> None:
        if what == "too late":
            self.reached[what] += expire(proposal)
            if sweep:
                self.sweep("expire")
            self.commit(proposal, False)
        else:
            key = self.caller_for(self.known[proposal]["kind"]).key
            actor = Actor("agent", key.public_id, key.agent.name)
            self.reached[what] += not isinstance(cancel(proposal, key.agent_id, actor, timezone.now()), Stop)

    @rule(proposal=proposals, sweep=st.booleans())
    def cut_off(self, proposal: str, sweep: bool) -> None:
        """Burnt, and the process is gone before its run; the sweep may come at once."""
        if PendingAction.objects.get(pk=proposal).status == Status.APPROVED:
            permit = run_out(proposal, unless_refused=True)
            self.lost += [permit] if permit else []
            self.reached["cut off"] += permit is not None
        if sweep:
            self.sweep("recover")

    @rule(sweep=st.sampled_from(["expire", "revoke", "recover", "the rest"]))
    def sweep(self, sweep: str) -> None:
        now = timezone.now()
        if sweep == "expire":
            self.reached["swept: expire"] += expire_overdue(now)
        elif sweep == "revoke":
            self.reached["swept: revoke"] += revoke_what_changed(now)
        elif sweep == "recover":
            before = AuditEvent.objects.filter(type="action.retried").count()
            self.reached["recovered"] += recover_actions()
            self.reached["carried on"] += AuditEvent.objects.filter(type="action.retried").count() - before
        else:
            sweep_nonces()
            assert run_ready() == 0, "a proposal is run by its commit only"

    @rule(which=st.integers(0, 3), status=st.sampled_from([Status.DONE, Status.FAILED]))
    def answer_comes_late(self, which: int, status: Status) -> None:
        """Of a run that was given up, or carried on by another: only under the fence that is the latest."""
        if not self.lost:
            return
        permit = self.lost[which % len(self.lost)]
        before = PendingAction.objects.get(pk=permit.action_id)
        result = store_answer({"late": True}, "", {}, timezone.now())
        taken = record_result(permit, status, "allowed", result, timezone.now())
        may = before.fence == permit.fence and before.status in (Status.EXECUTING, Status.UNKNOWN)
        assert taken == may
        self.reached["late, taken" if taken else "late, stale"] += 1

    # the laws

    @invariant()
    def the_laws_hold(self) -> None:
        told: dict[str, list[Status]] = {}
        for pk, type_ in AuditEvent.objects.filter(type__in=STATUS_OF).order_by("pk").values_list("subject_id", "type"):
            told.setdefault(pk, []).append(STATUS_OF[type_])
        effects = Counter(
            [*Ticket.objects.values_list("title", flat=True), *Message.objects.values_list("message", flat=True)]
        )
        committed = set(Commit.objects.filter(accepted=True).values_list("proposal_id", flat=True))
        rows = PendingAction.objects.select_related("agent", "agent_key").prefetch_related("votes__operator")
        for action in rows:
            pk = str(action.pk)
            self.one_history(pk, action, told[pk])
            self.enough_people(action)
            happened = effects[self.known[pk]["text"]]
            assert happened <= 1
            if happened or action.pk in committed:
                assert action.status in BURNT
            if action.status == Status.DONE:
                assert action.result_id is not None
                assert action.fence >= 1
        assert Nonce.objects.count() == len(committed)
        assert SigningKey.objects.filter(status="active").count() == 1

    def one_history(self, pk: str, action: PendingAction, told: list[Status]) -> None:
        """One event a transition, each of them legal; what has ended stays as it ended."""
        path = [Status.PROPOSED, *told]
        assert all(new in MOVES[old] for old, new in itertools.pairwise(path) if old in MOVES), path
        assert not TERMINAL & set(path[:-1]), path
        assert path[-1] == action.status, path
        assert self.ended.setdefault(pk, action.status) == action.status or self.ended[pk] not in TERMINAL
        self.ended[pk] = action.status

    def enough_people(self, action: PendingAction) -> None:
        agreed = {vote.operator for vote in action.votes.all() if vote.approve}
        assert not any(is_own(action, person) for person in agreed)
        if self.known[str(action.pk)]["kind"] == "waits" and action.status in BURNT | {Status.APPROVED}:
            assert len(agreed) >= action.quorum == 2

    def effects(self, known: dict[str, Any]) -> int:
        kept = Message.objects.filter(message=known["text"]) if known["kind"] == "twice" else None
        return (Ticket.objects.filter(title=known["text"]) if kept is None else kept).count()


class Scene:
    """What every example begins with, and what all of them reached."""

    def __init__(self, world: Any) -> None:
        self.reached: Counter[str] = Counter()
        self.world = world
        Tool.objects.filter(name="send_message").update(idempotent=True)
        free = world.two_phase("create_ticket", "send_message", name="free")
        held = world.two_phase("create_ticket", name="held", waits=True, quorum=2)
        self.callers: dict[str, Caller] = {
            "plain": world.caller(free, name="plain"),
            "waiting": world.caller(held, name="waiting"),
            "thief": world.caller(free, name="thief", owner=world.charlie),
        }
        self.people = {"alice": world.alice, "bob": world.bob, "charlie": world.charlie}
        self.people["carol"] = world.person("carol", "operators")

    def call_of(self, kind: str, text: str) -> tuple[str, dict[str, Any]]:
        """A tool and its arguments; of the kind `twice` the tool is one that may be called again."""
        if kind == "twice":
            return "send_message", {"channel": "#a", "message": text}
        return "create_ticket", {"customer_id": self.world.acme.pk, "title": text}


def walk(machine: TwoPhases) -> None:
    """What chance may leave out: each change once, between a proposal and its commit, and each sweep."""
    for what, sweep in itertools.product(("publish", "replace key", "freeze", "revoke"), (False, True)):
        proposal = machine._propose("plain")
        assert proposal
        machine.change(proposal, what, sweep)
        machine.the_laws_hold()
        if machine.switch is not None:
            machine._change("thaw", False)
    for kind, sweep in itertools.product(("plain", "twice", "waits"), (False, True)):
        for act in (machine.commit_wrongly, machine.end_otherwise, machine.cut_off):
            proposal = machine._propose(kind)
            assert proposal
            if act == machine.commit_wrongly:
                act(proposal, "minted")
                act(proposal, "other arguments")
                act(proposal, "stolen")
            elif act == machine.end_otherwise:
                act(proposal, "taken back" if kind == "waits" and sweep else "too late", sweep)
            else:
                act(proposal, sweep)
            machine.the_laws_hold()
    machine.vote(machine._propose("waits") or "", "alice", True)
    machine.vote(machine._propose("waits") or "", "bob", False)
    machine.the_laws_hold()
    machine.teardown()


def test_the_laws_hold_whatever_happens_in_whatever_order(world: Any, capsys: Any) -> None:
    scene = Scene(world)
    machine = type("Machine", (TwoPhases,), {"scene": scene})
    walk(machine())
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=80,
            stateful_step_count=25,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    reached = scene.reached
    with capsys.disabled():
        sys.stdout.write("\nreached: " + ", ".join(f"{what} {times}" for what, times in sorted(reached.items())) + "\n")
    assert reached["committed: committed"] > 50
    assert {reason for reason in REASONS if not reached[f"committed: {reason}"]} == set()
    assert min(reached["proposed: blocked"], reached["proposed: pending_approval"], reached["cut off"]) > 5
    rare = ("vote: approved", "vote: rejected", "vote: own_request", "carried on", "late, taken", "late, stale")
    assert {what for what in (*rare, "swept: expire", "swept: revoke", "taken back") if not reached[what]} == set()
    assert reached["recovered"] > reached["carried on"]
