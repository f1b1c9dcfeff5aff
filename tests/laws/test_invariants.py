"""The laws of "may this run?": each has tests, those tests exist, and the documentation names them."""

import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
PAGE = ROOT / "docs" / "explanation" / "proof.md"
RACES, KILLS, MACHINE = (
    "tests/races/test_commit_races.py",
    "tests/races/test_kill_commit.py",
    "tests/approvals/test_state_machine.py::test_the_laws_hold_whatever_happens_in_whatever_order",
)
INVARIANTS: dict[int, tuple[str, tuple[str, ...]]] = {
    1: (
        "N concurrent commits of one token: at most one side effect.",
        (f"{RACES}::test_sixteen_commits_of_one_token_run_it_once",),
    ),
    2: (
        "A nonce is accepted at most once, across restarts.",
        (
            f"{KILLS}::test_what_was_killed_is_never_approved_again_and_never_runs_twice",
            "tests/journeys/test_changes_before_commit.py::test_a_spent_nonce_is_refused_even_where_the_row_says_approved",
            f"{RACES}::test_two_sweeps_at_once_drop_each_spent_nonce_once_and_no_replay_passes",
        ),
    ),
    3: (
        "No dispatch without a committed T2.",
        (
            f"{KILLS}::test_what_was_killed_is_never_approved_again_and_never_runs_twice",
            "tests/journeys/test_proposals.py::test_an_approved_proposal_is_run_by_its_commit_only",
            "tests/pipeline/test_fail_closed.py::test_no_record_no_run",
        ),
    ),
    4: (
        "A crash after T2 never returns a proposal to approved.",
        (f"{KILLS}::test_what_was_killed_is_never_approved_again_and_never_runs_twice", MACHINE),
    ),
    5: (
        "Done implies a recorded result with the current fence; a stale fence changes 0 rows.",
        (
            "tests/approvals/test_transitions.py::test_a_stale_fence_changes_nothing",
            "tests/approvals/test_cut_off.py::test_a_run_of_an_idempotent_tool_goes_on_once_under_the_next_fence",
            MACHINE,
        ),
    ),
    6: (
        "Terminal states never change.",
        ("tests/approvals/test_transitions.py::test_no_terminal_state_has_a_way_out", MACHINE),
    ),
    7: (
        "Approved implies enough distinct approvers, none of them the key's owner unless the policy says otherwise.",
        (
            "tests/races/test_decision_races.py::test_quorum_of_two_is_reached_by_two_at_once",
            "tests/races/test_decision_races.py::test_a_quorum_of_two_for_a_proposal_is_reached_once",
            "tests/approvals/test_transitions.py::test_four_eyes_are_two_people",
            MACHINE,
        ),
    ),
    8: (
        "Exactly one of approve and expire wins.",
        ("tests/races/test_decision_races.py::test_approve_and_expire_have_one_winner",),
    ),
    9: (
        "After a policy edit returns, no burn under the older revision succeeds.",
        (
            f"{RACES}::test_after_a_change_returned_no_commit_of_before_succeeds",
            f"{RACES}::test_a_change_waits_for_a_burn_under_way",
        ),
    ),
    10: (
        "Dispatched bytes hash to the approved hash; displayed arguments decode to those bytes, untruncated.",
        (
            "tests/approvals/test_same_bytes.py::test_what_is_hashed_shown_and_sent_is_the_same",
            "tests/approvals/test_transitions.py::test_only_the_bytes_that_were_approved_run",
        ),
    ),
    11: (
        "Every transition has exactly one audit event, in its transaction.",
        (
            "tests/journeys/test_held_calls.py::test_every_transition_has_one_event",
            "tests/laws/test_append_only.py::test_an_event_outside_a_transaction_is_refused",
            MACHINE,
        ),
    ),
    # Sealing is not built: truncation from within the database would pass. What stands is that rows refuse change.
    12: (
        "Any edit, deletion, reorder or truncation before the last seal fails verification.",
        (
            "tests/laws/test_append_only.py::test_a_row_can_be_neither_changed_nor_deleted",
            "tests/laws/test_append_only.py::test_a_table_cannot_be_emptied",
        ),
    ),
    13: (
        "Another agent's proposal, action, session or trace is indistinguishable from a missing one.",
        (
            "tests/journeys/test_proposals.py::test_another_agents_proposal_is_as_if_it_were_not_there",
            "tests/journeys/test_commits.py::test_another_agent_can_not_tell_a_stolen_token_from_an_unknown_proposal",
            "tests/journeys/test_held_calls.py::test_anothers_action_is_as_if_it_were_not_there",
        ),
    ),
    14: (
        "Any evaluator error is a hold, never an allow; any stage that raises denies.",
        (
            "tests/tools/policy/test_evaluator.py::test_a_rule_that_errs_is_never_looser_than_a_persons_word",
            "tests/pipeline/test_fail_closed.py::test_a_stage_that_raises_denies",
        ),
    ),
    15: (
        "Retiring a signing key stops issue; revoking it rejects its tokens.",
        (
            "tests/journeys/test_commits.py::test_a_retired_signing_key_signs_no_more_and_its_tokens_are_honoured",
            "tests/journeys/test_commits.py"
            "::test_a_revoked_signing_keys_tokens_are_forgeries_and_the_agent_is_given_another",
            "tests/approvals/test_tokens_that_are_not_given.py"
            "::test_a_signing_key_that_is_revoked_while_a_commit_waits_counts_no_more",
            f"{RACES}::test_after_a_change_returned_no_commit_of_before_succeeds",
        ),
    ),
}


def test_all_fifteen_are_listed() -> None:
    assert list(INVARIANTS) == list(range(1, 16))


@pytest.mark.parametrize("number", INVARIANTS)
def test_each_invariant_has_tests_that_exist(number: int) -> None:
    _, tests = INVARIANTS[number]
    assert tests
    for test in tests:
        file, _, name = test.partition("::")
        assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8"), test


def test_the_page_about_proof_says_the_same() -> None:
    """Shape of a row: | number | sentence | `file::test`, ... |"""
    rows = re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    said = {int(number): (sentence, tuple(re.findall(r"`(tests/[^`]+)`", tests))) for number, sentence, tests in rows}
    assert said == INVARIANTS


def test_each_fault_names_tests_that_exist() -> None:
    from tests.faults.faults import FAULTS

    assert len({fault.id for fault in FAULTS}) == len(FAULTS) >= 16
    for fault in FAULTS:
        for test in fault.tests:
            file, _, name = test.partition("::")
            assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8"), test


def test_each_fault_finds_its_place() -> None:
    """`make faults` would say so too; here it is said as soon as the code moves."""
    from tests.faults.faults import FAULTS

    for fault in FAULTS:
        texts: dict[str, str] = {}
        for edit in fault.edits:
            text = texts.setdefault(edit.file, (ROOT / edit.file).read_text(encoding="utf-8"))
            assert text.count(edit.old) == 1, (fault.id, edit.old)
            texts[edit.file] = text.replace(edit.old, edit.new)
