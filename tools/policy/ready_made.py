"""Rules that are ready to be added to a policy: what they are for, and the expression that says it."""

from __future__ import annotations

from dataclasses import dataclass

from tools.policy.document import PolicyDocument
from tools.policy.effects import Effect


@dataclass(frozen=True, slots=True)
class ReadyMade:
    """`why` is for whoever chooses it. It asks for a person's approval."""

    key: str
    name: str
    why: str
    expression: str


READY_MADE = (
    ReadyMade(
        key="no-way-out",
        name="Nothing leaves unseen once private data and untrusted text came in",
        why="A session that read private data and then a stranger's text may be told by that text to send the data "
        "away. From then on each call that sends outside waits for a person. What a tool brings in and whether it "
        "sends outside is declared on the tool; undeclared counts as yes.",
        expression='tool.sends_outside != "no" && "private_data" in session.labels '
        '&& "untrusted_text" in session.labels',
    ),
    ReadyMade(
        key="outside-a-session",
        name="What sends outside belongs to a session",
        why="The rule above knows only what a session did. With this one beside it, a call that sends outside and "
        "names no session waits for a person.",
        expression='tool.sends_outside != "no" && session.id == ""',
    ),
)


def ready_made(key: str) -> ReadyMade | None:
    return next((one for one in READY_MADE if one.key == key), None)


def tools_let_through(document: PolicyDocument) -> tuple[str, ...]:
    """What the draft's rules name who let a call run.

    A rule that only asks for approval lets run what it names, too: so a ready-made one names nothing more than these.
    """
    letting = (rule for rule in document.rules if rule.effect.is_gate and rule.effect is not Effect.DENY)
    return tuple(dict.fromkeys(tool for rule in letting for tool in rule.tools))
