"""Faults that the suite must catch, each in a few words of the product's own code, and the tests that catch it.

A test that passes with a fault in place proves nothing of what it says. Old text stands exactly once in its file: where
it does not, the runner says so, and this list is mended with the code.
"""

from __future__ import annotations

from dataclasses import dataclass

TRANSITIONS, COMMITS, TOKEN = "approvals/transitions.py", "approvals/commits.py", "approvals/commit_token.py"
ACTIONS, KEYS, PROPOSING = "approvals/actions.py", "approvals/signing_keys.py", "approvals/proposing.py"
T_TRANSITIONS, T_COMMITS = "tests/approvals/test_transitions.py", "tests/journeys/test_commits.py"
T_PROPOSALS, T_CARRYING = "tests/journeys/test_proposals.py", "tests/approvals/test_cut_off.py"
T_TOKENS, T_RACES = "tests/approvals/test_tokens_that_are_not_given.py", "tests/races/test_commit_races.py"
T_DECISIONS, T_HELD = "tests/races/test_decision_races.py", "tests/journeys/test_held_calls.py"
T_WAITING = "tests/journeys/test_waiting_proposals.py"


@dataclass(frozen=True)
class Edit:
    """In this file, this text becomes that one."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Fault:
    """What is broken, how, and which tests must fail of it. Several edits are one fault behind two defences."""

    id: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


def fault(id_: str, test: str, *edits: tuple[str, str, str]) -> Fault:
    return Fault(id_, tuple(Edit(*edit) for edit in edits), (test,))


_EXPIRED = """    if genuine.claims.is_over(attempt.now):
        return _refused(attempt, genuine, "expired")
"""
_THEIRS = """    if not _is_theirs(attempt, genuine.claims):
        return _refused(attempt, genuine, "unknown_proposal")
"""
_LOCK = "        action = locked_for_burn(attempt.proposal_id)\n"
_WHY_NOT = "        code = _why_not(action, genuine)\n"
_WHY_NOT_UNLOCKED = "        code = _why_not(PendingAction.objects.get(pk=attempt.proposal_id), genuine)\n"
_LOCKS = (
    '        cursor.execute("SELECT 1 FROM tools_policy WHERE id = %s FOR SHARE", [found.policy_revision.policy_id])\n',
    '        cursor.execute("SELECT 1 FROM approvals_pendingaction WHERE id = %s FOR UPDATE", [found.pk])\n',
)
_FROM_UNKNOWN = "    Status.UNKNOWN: frozenset({Status.DONE, Status.FAILED}),"

FAULTS = (
    # the state machine
    fault(
        "a status is written whatever it was",
        f"{T_TRANSITIONS}::test_a_late_second_burn_tells_the_idempotency_record_nothing",
        (
            TRANSITIONS,
            "PendingAction.objects.filter(pk=action.pk, status=old)",
            "PendingAction.objects.filter(pk=action.pk)",
        ),
        (
            TRANSITIONS,
            "        if not move(action, Status.APPROVED, Status.REVOKED, reason=why_not):\n",
            "        if not why_not:\n",
        ),
    ),
    fault(
        "a transition leaves no event",
        f"{T_HELD}::test_every_transition_has_one_event",
        (
            TRANSITIONS,
            "        record_event(\n            EVENTS[new],",
            "        EVENTS[new] or record_event(\n            EVENTS[new],",
        ),
    ),
    fault(
        "an outcome is recorded under any fence",
        f"{T_CARRYING}::test_a_run_of_an_idempotent_tool_goes_on_once_under_the_next_fence",
        (TRANSITIONS, "filter(pk=action.pk, fence=permit.fence).first()", "filter(pk=action.pk).first()"),
        (TRANSITIONS, "not in (Status.EXECUTING, Status.UNKNOWN) or since == status", "is None or since == status"),
        (
            "approvals/states.py",
            _FROM_UNKNOWN,
            _FROM_UNKNOWN + "\n    Status.DONE: frozenset({Status.FAILED}),",
        ),
    ),
    fault(
        "a stale fence is believed while another run is under way",
        f"{T_TRANSITIONS}::test_a_stale_fence_changes_nothing",
        (TRANSITIONS, "filter(pk=action.pk, fence=permit.fence).first()", "filter(pk=action.pk).first()"),
    ),
    # T2: the burn
    fault(
        "the action is not locked before the burn",
        f"{T_TRANSITIONS}::test_a_burn_that_waited_past_the_expiry_burns_nothing",
        (TRANSITIONS, "approvals_pendingaction WHERE id = %s FOR UPDATE", "approvals_pendingaction WHERE id = %s"),
    ),
    fault(
        "the policy is not locked before the burn",
        f"{T_RACES}::test_a_change_waits_for_a_burn_under_way",
        (TRANSITIONS, "tools_policy WHERE id = %s FOR SHARE", "tools_policy WHERE id = %s"),
    ),
    fault(
        "the action is judged as it was before its lock",
        f"{T_TOKENS}::test_a_commit_that_waited_is_told_what_happened_meanwhile",
        (TRANSITIONS, "    return actions.get(pk=action_id)\n", "    return found\n"),
    ),
    fault(
        "a held call is burnt after its expiry",
        f"{T_TRANSITIONS}::test_an_approval_that_expired_is_not_burnt",
        (TRANSITIONS, "        unexpired=True,\n        fence", "        fence"),
    ),
    fault(
        "a proposal is committed after its expiry",
        f"{T_COMMITS}::test_the_database_decides_when_a_proposal_is_over",
        (TRANSITIONS, "        unexpired=True,\n        fence", "        fence"),
        (COMMITS, 'expires_at__gt=Now()).exists() else "expired"', 'expires_at__gt=Now()).exists() else ""'),
    ),
    fault(
        "the expiry is asked before the lock only",
        f"{T_TOKENS}::test_a_commit_that_waited_past_the_expiry_burns_nothing",
        (TRANSITIONS, "        unexpired=True,\n        fence", "        fence"),
        (COMMITS, _LOCK + _WHY_NOT, _WHY_NOT_UNLOCKED + _LOCK),
    ),
    fault(
        "a policy that changed is not noticed",
        f"{T_COMMITS}::test_what_changed_since_revokes_the_proposal_and_nothing_runs",
        (TRANSITIONS, "if in_force != action.policy_revision_id:", "if not in_force:"),
    ),
    fault(
        "a freeze is not noticed by a burn",
        f"{T_COMMITS}::test_what_changed_since_revokes_the_proposal_and_nothing_runs",
        (
            TRANSITIONS,
            "touching(agent_id=action.agent_id, tool_id=action.tool_id).exists()",
            "touching(agent_id=action.agent_id, tool_id=action.tool_id).exists() and not now",
        ),
    ),
    fault(
        "a worker burns a proposal",
        f"{T_PROPOSALS}::test_an_approved_proposal_is_run_by_its_commit_only",
        (
            TRANSITIONS,
            "        if action.proposal_id is not None:\n            return Refused",
            "        if action.proposal_id is None and not action_id:\n            return Refused",
        ),
    ),
    # commits
    fault(
        "the nonce is not kept",
        f"{T_COMMITS}::test_a_commit_runs_once_and_says_what_came_of_it",
        (COMMITS, "expires_at, dt.UTC),\n        ).save(force_insert=True)", "expires_at, dt.UTC),\n        )"),
    ),
    fault(
        "a spent nonce passes, and the second accepted commit with it",
        f"{T_COMMITS}::test_a_spent_nonce_is_refused_even_where_the_row_says_approved",
        (COMMITS, "status in BURNT or Nonce.objects.filter(nonce=genuine.claims.nonce).exists()", "status in BURNT"),
        (COMMITS, "expires_at, dt.UTC),\n        ).save(force_insert=True)", "expires_at, dt.UTC),\n        )"),
        (
            COMMITS,
            '        commit = _row(attempt, genuine, "allowed")\n        commit.save(force_insert=True)',
            '        commit = _row(attempt, genuine, "allowed")',
        ),
    ),
    fault(
        "what was burnt is said to be merely not approved",
        f"{T_COMMITS}::test_every_reason_comes_before_those_after_it",
        (COMMITS, "status in BURNT or Nonce", "Nonce"),
    ),
    fault(
        "other arguments pass",
        f"{T_COMMITS}::test_every_reason_comes_before_those_after_it",
        (COMMITS, "if sent != genuine.claims.tool_args_hash:", "if not sent:"),
    ),
    fault(
        "another agent's token passes",
        f"{T_COMMITS}::test_another_agent_can_not_tell_a_stolen_token_from_an_unknown_proposal",
        (COMMITS, "PendingAction.objects.asked_by(attempt.key.agent_id).filter(", "PendingAction.objects.filter("),
    ),
    fault(
        "a token counts for any tool",
        f"{T_COMMITS}::test_a_token_counts_for_its_own_proposal_and_tool_only",
        (COMMITS, " or attempt.tool_name not in (None, claims.tool_name):", ":"),
    ),
    fault(
        "a blocked proposal can be told from a missing one",
        f"{T_TOKENS}::test_a_genuine_token_for_what_was_given_none_runs_nothing",
        (COMMITS, "theirs.exclude(status=Status.BLOCKED).exclude(proposal=None)", "theirs.exclude(proposal=None)"),
    ),
    fault(
        "a held call is committed",
        f"{T_TOKENS}::test_a_held_call_is_no_proposal_whatever_a_token_says",
        (COMMITS, ".exclude(status=Status.BLOCKED).exclude(proposal=None)", ".exclude(status=Status.BLOCKED)"),
    ),
    fault(
        "the reasons come in another order",
        f"{T_COMMITS}::test_every_reason_comes_before_those_after_it",
        (COMMITS, _EXPIRED + _THEIRS, _THEIRS + _EXPIRED),
    ),
    fault(
        "a refused commit leaves no row",
        f"{T_COMMITS}::test_every_reason_comes_before_those_after_it",
        (
            COMMITS,
            "        commit.save(force_insert=True)\n        if genuine is not None:",
            "        if genuine is not None:",
        ),
    ),
    # tokens and the key ring
    fault(
        "any MAC will do",
        f"{T_COMMITS}::test_a_forged_token_has_one_answer_reads_no_proposal_and_costs_one_row",
        (TOKEN, "if not any(matches):", "if not matches:"),
    ),
    fault(
        "the environment in a token is not read",
        f"{T_COMMITS}::test_a_genuine_mac_over_claims_of_another_environment_is_refused",
        (
            TOKEN,
            "if claims and claims.env == settings.ENVIRONMENT else None",
            "if claims and settings.ENVIRONMENT else None",
        ),
    ),
    fault(
        "a revoked signing key is honoured",
        f"{T_COMMITS}::test_a_revoked_signing_keys_tokens_are_forgeries_and_the_agent_is_given_another",
        (
            KEYS,
            "SigningKey.objects.filter(kid=kid).exclude(status=Status.REVOKED).exists()",
            "SigningKey.objects.filter(kid=kid).exists()",
        ),
        (KEYS, "WHERE kid = %s AND status <> %s FOR SHARE", "WHERE kid = %s AND status <> %s || 'x' FOR SHARE"),
    ),
    fault(
        "the burn does not ask the key ring again",
        f"{T_TOKENS}::test_a_signing_key_that_is_revoked_while_a_commit_waits_counts_no_more",
        (COMMITS, "if not is_honoured_for_now(genuine.kid):", "if not genuine.kid:"),
    ),
    fault(
        "the signing key is not locked by the burn",
        f"{T_RACES}::test_a_change_waits_for_a_burn_under_way",
        (KEYS, "WHERE kid = %s AND status <> %s FOR SHARE", "WHERE kid = %s AND status <> %s"),
    ),
    fault(
        "rotations do not wait for each other",
        f"{T_RACES}::test_eight_rotations_at_once_leave_one_key_that_signs",
        (
            KEYS,
            'cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_RING_LOCK])',
            'cursor.execute("SELECT %s", [_RING_LOCK])',
        ),
    ),
    fault(
        "a token of a revoked signing key is given out again",
        f"{T_COMMITS}::test_a_revoked_signing_keys_tokens_are_forgeries_and_the_agent_is_given_another",
        ("approvals/issued_tokens.py", "        .exclude(signing_key__status=SigningKey.Status.REVOKED)\n", ""),
    ),
    fault(
        "a look at a proposal takes no lock",
        f"{T_RACES}::test_sixteen_looks_at_an_approved_proposal_find_one_token_that_works_once",
        ("approvals/reading.py", '            .select_for_update(of=("self",))\n', ""),
    ),
    fault(
        "a token is issued while a person has yet to agree",
        f"{T_PROPOSALS}::test_a_proposal_that_waits_gets_its_token_when_a_person_agreed",
        (
            PROPOSING,
            "if status is Status.APPROVED else None\n    body",
            "if status is not Status.BLOCKED else None\n    body",
        ),
    ),
    # between the two phases
    fault(
        "the action is locked before the policy",
        f"{T_COMMITS}::test_a_commit_takes_its_locks_in_the_documented_order",
        (TRANSITIONS, _LOCKS[0] + _LOCKS[1], _LOCKS[1] + _LOCKS[0]),
    ),
    fault(
        "a token is given past its time",
        f"{T_WAITING}::test_a_proposal_past_its_time_has_no_token_any_more",
        ("approvals/reading.py", " and action.expires_at > now", ""),
    ),
    fault(
        "the owner agrees to what a rule could not decide",
        f"{T_WAITING}::test_the_owner_agrees_alone_only_where_every_rule_could_be_decided",
        (PROPOSING, "self_confirm and not call.decision.errors", "self_confirm"),
    ),
    fault(
        "anybody agrees to a proposal that is kept for a group",
        f"{T_WAITING}::test_named_groups_agree_to_a_proposal_and_nobody_else",
        (PROPOSING, "eligible_groups=list(terms.groups)", "eligible_groups=[]"),
    ),
    fault(
        "a rule's time to agree is not a proposal's",
        f"{T_WAITING}::test_the_time_to_agree_is_the_rules",
        (PROPOSING, "(terms.expires_in_s or DEFAULT_EXPIRY_S)", "DEFAULT_EXPIRY_S"),
    ),
    fault(
        "the time to commit does not begin with the approval",
        f"{T_WAITING}::test_the_time_to_commit_begins_with_the_approval",
        (ACTIONS, "decided_at=now, **until)", "decided_at=now)"),
    ),
    fault(
        "a prompt is kept as it came",
        f"{T_WAITING}::test_a_prompt_is_kept_masked",
        (PROPOSING, "visible(redact_text(call.intent.prompt))", "visible(call.intent.prompt)"),
    ),
    fault(
        "another prompt is the same intention",
        f"{T_WAITING}::test_another_prompt_is_another_intention",
        ("tools/idempotency.py", '"prompt": call.intent.prompt,', '"prompt": "",'),
    ),
    # people
    fault(
        "votes are counted without the lock",
        f"{T_DECISIONS}::test_quorum_of_two_is_reached_by_two_at_once",
        (
            ACTIONS,
            '            PendingAction.objects.select_for_update(of=("self",))\n            .select_related',
            "            PendingAction.objects.select_related",
        ),
    ),
    fault(
        "one's own request may be approved",
        f"{T_PROPOSALS}::test_the_owner_does_not_approve_their_own_proposal",
        (
            ACTIONS,
            "if approve and is_own(action, user) and not action.self_confirm:",
            "if approve and is_own(action, user) and action.self_confirm:",
        ),
    ),
    fault(
        "one vote is a quorum",
        f"{T_COMMITS}::test_an_approval_by_the_wrong_door_does_not_make_a_token",
        (ACTIONS, "elif count >= action.quorum:", "elif count >= 1:"),
    ),
    # recovery
    fault(
        "what is not idempotent is carried on",
        f"{T_CARRYING}::test_what_may_not_go_on_is_unknown",
        (TRANSITIONS, "action is None or not action.tool.idempotent or action.fence", "action is None or action.fence"),
    ),
    fault(
        "a run is carried on although something changed",
        f"{T_CARRYING}::test_what_may_not_go_on_is_unknown",
        (TRANSITIONS, "action.fence >= MOST_RUNS or changed_since(action, now):", "action.fence >= MOST_RUNS:"),
    ),
    fault(
        "a run is carried on for ever",
        f"{T_CARRYING}::test_what_was_cut_off_as_often_as_may_be_is_unknown",
        (TRANSITIONS, "or action.fence >= MOST_RUNS or", "or"),
    ),
    fault(
        "a run under its lease is taken over",
        f"{T_CARRYING}::test_a_run_within_its_lease_is_left_alone",
        (
            "approvals/models/pending_action.py",
            "filter(status=Status.EXECUTING, lease_until__lte=Now())",
            "filter(status=Status.EXECUTING)",
        ),
    ),
    fault(
        "the sweep gives up before it carries on",
        f"{T_CARRYING}::test_a_run_of_an_idempotent_tool_goes_on_once_under_the_next_fence",
        (
            "observatory/tasks.py",
            "    carried_on = carry_on_lapsed()\n    return carried_on + recover_lapsed(timezone.now())",
            "    given_up = recover_lapsed(timezone.now())\n    return given_up + carry_on_lapsed()",
        ),
    ),
    fault(
        "an idempotency key is not told that the outcome is unknown",
        f"{T_CARRYING}::test_a_commits_idempotency_key_is_told_what_became_of_a_run_that_was_cut_off",
        (
            TRANSITIONS,
            "            return False\n        _tell_record(action, code, now)\n        return True",
            "            return False\n        return True",
        ),
    ),
    # scores and stages
    fault(
        "the threshold itself passes",
        "tests/approvals/test_scoring.py::test_the_threshold_itself_blocks_and_so_does_no_score",
        ("approvals/scoring.py", "not score < block_at", "not score <= block_at"),
    ),
    fault(
        "the policy is asked after the risk gate",
        "tests/pipeline/test_order.py::test_the_order_is_the_documented_one",
        (
            "observatory/pipeline.py",
            "    PolicyGuard(),\n    Idempotency(),\n    InputGuardrails(),\n    RiskGate(),\n",
            "    Idempotency(),\n    InputGuardrails(),\n    RiskGate(),\n    PolicyGuard(),\n",
        ),
        # It would not even start otherwise.
        ("observatory/apps.py", "        if problems:\n", "        if not problems:\n"),
    ),
    fault(
        "what was approved is not what is dispatched",
        f"{T_TRANSITIONS}::test_only_the_bytes_that_were_approved_run",
        ("approvals/gate.py", "if call.permit.args_digest != call.digest:", "if not call.permit.args_digest:"),
    ),
)
