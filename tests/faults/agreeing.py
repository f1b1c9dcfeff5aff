"""Faults between the two phases: who agrees, to what, for how long; and of what comes after."""

from tests.faults.fault import (
    ACTION_ROWS,
    ACTIONS,
    COMMITS,
    PROPOSING,
    T_CARRYING,
    T_CHANGES,
    T_COMMITS,
    T_DECISIONS,
    T_PROPOSALS,
    T_TRANSITIONS,
    T_WAITING,
    TRANSITIONS,
    fault,
)

AGREEING = (  # between the two phases
    fault(
        "the action is locked before the policy",
        f"{T_COMMITS}::test_a_commit_takes_its_locks_in_the_documented_order",
        (TRANSITIONS, "policy_id = rows.values_list(", "policy_id = rows.select_for_update(of=('self',)).values_list("),
    ),
    fault(
        "a token is given past its time",
        f"{T_WAITING}::test_a_proposal_past_its_time_has_no_token_any_more",
        ("approvals/reading.py", " and action.expires_at > now", ""),
    ),
    fault(
        "the owner agrees to what a rule could not decide",
        f"{T_WAITING}::test_the_owner_agrees_alone_only_where_every_rule_could_be_decided",
        (ACTION_ROWS, "self_confirm and not call.decision.errors", "self_confirm"),
    ),
    fault(
        "anybody agrees to a proposal that is kept for a group",
        f"{T_WAITING}::test_named_groups_agree_to_a_proposal_and_nobody_else",
        (ACTION_ROWS, "eligible_groups=list(terms.groups)", "eligible_groups=[]"),
    ),
    fault(
        "a rule's time to agree is not a proposal's",
        f"{T_WAITING}::test_the_time_to_agree_is_the_rules",
        (ACTION_ROWS, "call.decision.approval.expires_in_s or DEFAULT_EXPIRY_S", "DEFAULT_EXPIRY_S"),
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
    fault(
        "a key that may not see the tool commits",
        f"{T_COMMITS}::test_a_key_that_may_not_see_the_tool_neither_reads_nor_commits_its_proposals",
        (COMMITS, "if not attempt.snapshot.lets(attempt.key, claims.tool_name):", "if not attempt.key:"),
    ),
    fault(
        "a commit's idempotency key names the words only",
        f"{T_COMMITS}::test_a_key_that_was_used_for_another_commit_is_refused",
        ("tools/idempotency.py", '"proposal_id": call.proposal_id}', '"proposal_id": ""}'),
    ),
    fault(
        "what the tool came to ask since is not asked",
        f"{T_CHANGES}::test_what_the_tool_came_to_ask_since_must_have_been_asked",
        (TRANSITIONS, "same and _passed_what_is_asked_now(action, tool)", "same"),
    ),
    # recovery
    fault(
        "what is not idempotent is carried on",
        f"{T_CARRYING}::test_what_may_not_go_on_is_unknown",
        (TRANSITIONS, "return action.tool.idempotent and action.fence", "return action.fence"),
    ),
    fault(
        "a run is carried on although something changed",
        f"{T_CARRYING}::test_what_may_not_go_on_is_unknown",
        (TRANSITIONS, "action.fence < MOST_RUNS and not changed_since(action, now)", "action.fence < MOST_RUNS"),
    ),
    fault(
        "a run is carried on for ever",
        f"{T_CARRYING}::test_what_was_cut_off_as_often_as_may_be_is_unknown",
        (TRANSITIONS, " and action.fence < MOST_RUNS and", " and"),
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
        "the sweep gives up what the next one could carry on",
        "tests/approvals/test_carrying_on.py::test_what_a_sweep_had_no_time_for_is_left_for_the_next",
        (ACTIONS, "if not may_be_carried_on(action, now)]", "if action.pk]"),
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
