"""Pending actions in the words of people: on pages, in messages."""

import datetime as dt

from approvals.arguments import masked_arguments
from approvals.models import PendingAction
from telemetry.wording import span_words
from tools.models import Tool


def risk_words(tool: Tool) -> str:
    words = [tool.get_risk_display().lower()]
    words += ["can't be undone"] if tool.irreversible else []
    words += ["uses the network"] if tool.network != Tool.Network.NO else []
    return ", ".join(words)


def arguments_line(pending: PendingAction) -> str:
    """The masked arguments as one line. The page of the action shows them in full."""
    arguments = masked_arguments(pending.args_masked)
    return ", ".join(f"{name}: {value}" for name, value in arguments.items())


def to_the_second(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def commit_within(pending: PendingAction) -> str:
    """How long the agent of an approved proposal has to commit it."""
    assert pending.proposal
    return span_words(dt.timedelta(seconds=pending.proposal.commit_within_s))
