import fnmatch
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.policy.selectors import matches, selector_problem, selector_problems

_NAMES = st.text("ab._-", min_size=1, max_size=12)
_GLOBS = st.text("ab._-*?", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("selectors", "name", "expected"),
    [
        (["create_ticket"], "create_ticket", True),
        (["create_ticket"], "create_tickets", False),
        (["crm.*"], "crm.read", True),
        (["crm.*"], "crm.", True),
        (["crm.*"], "crmXread", False),
        (["crm.?"], "crm.a", True),
        (["crm.?"], "crm.", False),
        (["*"], "anything", True),
        (["crm.*", "search_*"], "search_customer", True),
        (["Create_Ticket"], "create_ticket", False),
        (["[abc]"], "a", False),
        ([], "a", False),
    ],
)
def test_matches(selectors: list[str], name: str, expected: bool) -> None:
    assert matches(selectors, name) is expected


@given(_GLOBS, _NAMES)
def test_a_glob_matches_what_fnmatch_matches(glob: str, name: str) -> None:
    assert matches([glob], name) is fnmatch.fnmatchcase(name, glob)


def test_many_stars_end_quickly() -> None:
    started = time.perf_counter()
    assert not matches(["*a" * 31 + "*b"], "a" * 56)
    assert time.perf_counter() - started < 0.1


@pytest.mark.parametrize("selector", ["", "Crm.*", "crm/*", "crm.\u0430", "a b", "[ab]", "a" * 65, "crm.*\n"])
def test_a_selector_that_can_name_no_tool_is_a_problem(selector: str) -> None:
    assert selector_problem(selector)


def test_problems_of_a_text_are_those_of_its_lines() -> None:
    assert selector_problems("crm.*\n\n  search_customer \n") == []
    assert len(selector_problems("crm.*\nA\nb c")) == 2
    assert selector_problems(" \n")
