"""From a sentence to a tool and its arguments, by patterns of words: no model, so one sentence has one plan.

What does not fit, and what can be read in two ways, is no plan: a wrong transfer is worse than a question.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST_PROMPT = 2_000
# Why somebody wants it may name anything, so it is no part of what they want. It ends with its sentence.
_REASON = re.compile(r"[,;]?\s*\b(?:because|reason:)\s+(?P<reason>.+?)(?=[.!]\s|[.!]?\s*$)", re.IGNORECASE)
# Two wishes, a wish under a condition, the opposite of a wish, or no clear one.
_NOT_PLAIN = re.compile(
    r"\b(?:and|then|also|or|either|maybe|perhaps|possibly|roughly|about|around|approximately|some"
    r"|if|unless|until|when|no|not|never|cannot|without)\b|n't\b|[?&]",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Invocation:
    """A tool and the arguments to call it with. Arguments can hold a secret, so they stay out of the repr."""

    tool: str
    arguments: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Part:
    """One argument and the words that give it, in the pattern's group `value`."""

    argument: str
    pattern: re.Pattern[str]
    read: Callable[[str], Any] = str


def _words(pattern: str, *, exact: bool = False) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII | (0 if exact else re.IGNORECASE))


def _number(text: str) -> int | float:
    plain = text.replace(",", "")
    return float(plain) if "." in plain else int(plain)


def _coded(noun: str, argument: str) -> _Part:
    """An id such as INV-1001 after the word for what it names."""
    return _Part(argument, _words(rf"\b(?i:{noun})\s+(?P<value>[A-Z]{{2,5}}-\d+)\b", exact=True))


def _numbered(noun: str, argument: str) -> _Part:
    return _Part(argument, _words(rf"\b{noun}\s+(?:no\.\s*|number\s+|#)?(?P<value>[1-9]\d{{0,17}})\b"), int)


_MONEY = r"(?<![\w.,-])(?P<value>\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d{1,12}(?:\.\d{1,2})?)(?![\w-]|[.,]\d)"
_AMOUNT = _Part("amount", _words(_MONEY), _number)
_CURRENCY = _Part("currency", _words(r"(?<=\d )(?P<value>[A-Z]{3})\b|\b(?P<before>[A-Z]{3})(?= \d)", exact=True))
_CUSTOMER = _numbered("customer", "customer_id")


@dataclass(frozen=True, slots=True)
class _Intent:
    """A tool, the words that all must be there to mean it, and its arguments in the order in which they are read."""

    tool: str
    meant_by: tuple[re.Pattern[str], ...]
    parts: tuple[_Part, ...]
    wants_reason: bool = False


_INTENTS = (
    _Intent(
        "initiate_wire_transfer",
        (_words(r"\bwire\b"),),
        (
            _Part(
                "destination_iban",
                _words(r"\b(?P<value>[A-Z]{2}\d{2}[A-Z0-9]{11,30})\b", exact=True),
            ),
            _AMOUNT,
        ),
        wants_reason=True,
    ),
    _Intent("issue_invoice_refund", (_words(r"\brefund\b"),), (_coded("invoice", "invoice_id"), _CURRENCY, _AMOUNT)),
    _Intent("freeze_payment_card", (_words(r"\bfreeze\b"), _words(r"\bcard\b")), (_CUSTOMER,), wants_reason=True),
    _Intent(
        "unfreeze_payment_card",
        (_words(r"\bunfreeze\b"), _words(r"\bcard\b")),
        (_CUSTOMER, _numbered("ticket", "ticket_id")),
    ),
    _Intent(
        "create_expedited_shipment",
        (_words(r"\b(?:ship|send)\b"), _words(r"\border\b")),
        (
            _coded("order", "order_id"),
            _Part("carrier", _words(r"\b(?i:by|via|with) (?P<value>[A-Z]\w+)\b(?!,)", exact=True)),
        ),
    ),
    _Intent(
        "cancel_shipment",
        (_words(r"\bcancel\b"), _words(r"\bshipment\b")),
        (_coded("shipment", "shipment_id"),),
        wants_reason=True,
    ),
    _Intent(
        "schedule_clinic_visit",
        (_words(r"\b(?:book|schedule)\b"), _words(r"\bvisit\b")),
        (
            _Part(
                "slot_iso", _words(r"(?<!\S)(?P<value>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2}))\b")
            ),
            _coded("patient", "patient_id"),
        ),
    ),
    _Intent(
        "change_subscription_plan",
        (_words(r"\b(?:move|change|switch)\b"), _words(r"\bplan\b")),
        (
            _Part("effective_date", _words(r"\b(?:from|on) (?P<value>\d{4}-\d{2}-\d{2})(?![\w-])")),
            _coded("account", "account_id"),
            _Part("new_plan", _words(r"\bto the (?P<value>[a-z]+) plan\b")),
        ),
    ),
    _Intent(
        "reset_enterprise_password",
        (_words(r"\breset\b"), _words(r"\bpassword\b")),
        (
            _Part("temporary_secret", _words(r"\btemporary secret (?:is )?(?P<value>\S{12,128}?)(?=[.,;]?(?:\s|$))")),
            _coded("employee", "employee_id"),
        ),
    ),
    _Intent(
        "publish_feature_flag",
        (_words(r"\broll\b"), _words(r"\bflag\b")),
        (
            _Part("flag_name", _words(r"\b(?i:flag) (?P<value>[a-z][a-z0-9_.-]*[a-z0-9])\b(?!,)", exact=True)),
            _Part("rollout_percent", _words(r"(?<![\w.,-])(?P<value>\d{1,3}) ?(?:%|percent\b)"), int),
        ),
    ),
)


def plan(prompt: str) -> Invocation | None:
    """The one invocation that the prompt means; None where it means none or could mean another."""
    if len(prompt) > LONGEST_PROMPT:
        return None
    wanted, reasons = _without_reasons(" ".join(prompt.split()))
    meant = [intent for intent in _INTENTS if all(pattern.search(wanted) for pattern in intent.meant_by)]
    if len(meant) != 1 or len(reasons) > 1:
        return None
    intent = meant[0]
    arguments, rest = _read(intent, wanted)
    if intent.wants_reason and reasons:
        arguments["reason"] = reasons[0]
    complete = len(arguments) == len(intent.parts) + intent.wants_reason
    # A number that no argument took, or a word of doubt, is something that was not understood.
    if not complete or any(character.isnumeric() for character in rest) or _NOT_PLAIN.search(rest):
        return None
    return Invocation(intent.tool, arguments)


def _without_reasons(prompt: str) -> tuple[str, list[str]]:
    reasons = [match["reason"].strip() for match in _REASON.finditer(prompt)]
    return _REASON.sub("", prompt), reasons


def _read(intent: _Intent, wanted: str) -> tuple[dict[str, Any], str]:
    """The arguments that were found, each once, and the words that are left over."""
    arguments: dict[str, Any] = {}
    for part in intent.parts:
        found = [match for match in part.pattern.finditer(wanted) if _value(match)]
        values = {_value(match) for match in found}
        if len(values) == 1:
            arguments[part.argument] = part.read(values.pop())
        for match in reversed(found):
            wanted = f"{wanted[: match.start()]} {wanted[match.end() :]}"
    return arguments, wanted


def _value(match: re.Match[str]) -> str:
    return match["value"] or match.groupdict().get("before") or ""
