"""Faults of the state machine, of commits, and of their tokens and keys."""

from tests.faults.fault import (
    COMMITS,
    KEYS,
    PROPOSING,
    T_CARRYING,
    T_CHANGES,
    T_COMMITS,
    T_HELD,
    T_PROPOSALS,
    T_RACES,
    T_TOKENS,
    T_TRANSITIONS,
    TOKEN,
    TRANSITIONS,
    fault,
)

_EXPIRED = """    if genuine.claims.is_over(attempt.now):
        return _refused(attempt, genuine, "expired")
"""
_THEIRS = """    if not is_theirs:
        return _refused(attempt, genuine, "unknown_proposal")
"""
_LOCK = "        action = locked_for_burn(attempt.proposal_id)\n"
_WHY_NOT = "        code = _why_not(action, genuine)\n"
_WHY_NOT_UNLOCKED = "        code = _why_not(PendingAction.objects.get(pk=attempt.proposal_id), genuine)\n"
_JOINED = 'select_related("policy_revision", "tool", "proposal")'
_EARLY = f"    early = rows.{_JOINED}.get()\n"
_LOCKED = f'    return rows.select_for_update(of=("self",)).{_JOINED}.get()\n'
_FROM_UNKNOWN = "    Status.UNKNOWN: frozenset({Status.DONE, Status.FAILED}),"

BURNING = (
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
        (TRANSITIONS, 'return rows.select_for_update(of=("self",)).', "return rows."),
    ),
    fault(
        "the policy is not locked before the burn",
        f"{T_RACES}::test_a_change_waits_for_a_burn_under_way",
        (TRANSITIONS, "tools_policy WHERE id = %s FOR SHARE", "tools_policy WHERE id = %s"),
    ),
    fault(
        "the action is judged as it was before its lock",
        f"{T_TOKENS}::test_a_commit_that_waited_is_told_what_happened_meanwhile",
        (
            TRANSITIONS,
            "    if policy_id is None:\n        return None\n",
            "    if policy_id is None:\n        return None\n" + _EARLY,
        ),
        (TRANSITIONS, _LOCKED, _LOCKED.replace("return ", "") + "    return early\n"),
    ),
    fault(
        "a held call is burnt after its expiry",
        f"{T_TRANSITIONS}::test_an_approval_that_expired_is_not_burnt",
        (TRANSITIONS, "        unexpired=True,\n        fence", "        fence"),
    ),
    fault(
        "a proposal is committed after its expiry",
        f"{T_CHANGES}::test_the_database_decides_when_a_proposal_is_over",
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
        f"{T_CHANGES}::test_what_changed_since_revokes_the_proposal_and_nothing_runs",
        (TRANSITIONS, "if in_force != action.policy_revision_id or", "if not in_force or"),
    ),
    fault(
        "a freeze is not noticed by a burn",
        f"{T_CHANGES}::test_what_changed_since_revokes_the_proposal_and_nothing_runs",
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
        f"{T_CHANGES}::test_a_spent_nonce_is_refused_even_where_the_row_says_approved",
        (COMMITS, "expires_at, dt.UTC),\n        ).save(force_insert=True)", "expires_at, dt.UTC),\n        )"),
        (
            COMMITS,
            "        commit.save(force_insert=True)\n        Nonce(",
            "        Nonce(",
        ),
    ),
    fault(
        "what was burnt is said to be merely not approved",
        f"{T_COMMITS}::test_every_reason_comes_before_those_after_it",
        (COMMITS, "if status in BURNT:", "if not status:"),
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
        ("approvals/reading.py", '        .select_for_update(of=("self",))\n', ""),
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
)
