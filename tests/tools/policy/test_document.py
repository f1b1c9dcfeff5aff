import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.policy.sample import rule
from tools.policy.conditions import Condition, Operator
from tools.policy.document import SWITCHES, DocumentProblem, PolicyDocument, RuleDocument
from tools.policy.effects import Effect

_TEXT = st.text(max_size=12)
_CONDITIONS = st.builds(Condition, _TEXT, st.sampled_from(Operator), _TEXT)
_PARAMETERS = st.dictionaries(_TEXT, st.integers() | _TEXT | st.lists(_TEXT, max_size=3), max_size=3)
_RULES = st.builds(
    RuleDocument,
    id=_TEXT,
    name=_TEXT,
    tools=st.lists(_TEXT, max_size=3).map(tuple),
    effect=st.sampled_from(Effect),
    conditions=st.lists(_CONDITIONS, max_size=3).map(tuple),
    expression=_TEXT,
    parameters=_PARAMETERS,
)
_DOCUMENTS = st.builds(PolicyDocument, st.lists(_RULES, max_size=4).map(tuple), *(st.booleans() for _ in SWITCHES))


@given(_DOCUMENTS)
def test_a_document_comes_back_equal_from_json(document: PolicyDocument) -> None:
    assert PolicyDocument.from_json(json.loads(json.dumps(document.to_json()))) == document


def _document(**changes: Any) -> dict[str, Any]:
    document = PolicyDocument((rule("a", "allow", when="args.amount at_most 5"),)).to_json()
    document["rules"][0].update(changes)
    return document


def test_a_document_of_before_the_search_is_the_same_document() -> None:
    """Its digest stands in revisions that never change; only what is switched on is written."""
    old = {"rules": [], "self_confirm": False, "no_network": True, "dry_run": False}
    document = PolicyDocument.from_json(old)
    assert document == PolicyDocument((), no_network=True, tool_search=False)
    assert document.to_json() == old
    assert PolicyDocument((), tool_search=True).to_json()["tool_search"] is True


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([], ""),
        ({"rules": []}, "dry_run"),
        ({**_document(), "extra": 1}, "extra"),
        ({**_document(), "dry_run": 1}, "dry_run"),
        ({**_document(), "tool_search": "on"}, "tool_search"),
        ({**_document(), "rules": {}}, "rules"),
        ({**_document(), "rules": [1]}, "rules.0"),
        (_document(effect="permit"), "rules.0.effect"),
        (_document(effect=None), "rules.0.effect"),
        (_document(priority=1), "rules.0.priority"),
        (_document(tools="*"), "rules.0.tools"),
        (_document(tools=["a", 1]), "rules.0.tools.1"),
        (_document(name=1), "rules.0.name"),
        (_document(parameters=[]), "rules.0.parameters"),
        (_document(conditions=[{}]), "rules.0.conditions.0.field"),
        (_document(conditions=[{"field": "a", "operator": "like", "value": ""}]), "rules.0.conditions.0.operator"),
        (_document(conditions=[{"field": "a", "operator": "in", "value": 1}]), "rules.0.conditions.0.value"),
    ],
)
def test_a_document_with_anything_odd_is_refused_with_its_path(value: Any, path: str) -> None:
    with pytest.raises(DocumentProblem) as caught:
        PolicyDocument.from_json(value)
    assert caught.value.path == path


@pytest.mark.parametrize("key", ["id", "name", "tools", "conditions", "expression", "effect", "parameters"])
def test_no_key_of_a_rule_may_lack(key: str) -> None:
    document = _document()
    del document["rules"][0][key]
    with pytest.raises(DocumentProblem) as caught:
        PolicyDocument.from_json(document)
    assert caught.value.path == f"rules.0.{key}"


def test_what_was_read_shares_nothing_with_its_source() -> None:
    value = _document(effect="redact", parameters={"paths": ["a"]})
    document = PolicyDocument.from_json(value)
    value["rules"][0]["parameters"]["paths"].append("b")
    document.to_json()["rules"][0]["parameters"]["paths"].append("c")
    assert document.rules[0].parameters == {"paths": ["a"]}
