"""The ten requests of everyday business: what somebody says, the tool that does it, and what is answered.

A tool of two phases, or one that destroys or can't be undone, is answered with what it did and nothing else: no model
speaks about it afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

# What a fresh demonstration knows these as; a scenario says which they are in its own.
FRESH: Mapping[str, Any] = {"customer_id": 1, "ticket_id": 1, "shipment_id": "SHP-1"}
SECRET_ARGUMENTS = frozenset({"temporary_secret"})


class CatalogueError(ValueError):
    """An entry that the catalogue must not have."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request. `prompt` names in braces the facts that differ from one installation to the next.

    `response` is what a model would say of the result, as a template over it. Raises CatalogueError where such a
    response belongs to a tool that may have none, or is missing from another.
    """

    tool: str
    prompt: str
    arguments: Mapping[str, Any]
    facts: tuple[str, ...] = ()
    destructive: bool = False
    irreversible: bool = False
    two_phase: bool = False
    response: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        final = self.destructive or self.irreversible or self.two_phase
        if final and self.response:
            raise CatalogueError(f"{self.tool} can't be undone or destroys: no secondary response is passed on.")
        if not final and not self.response:
            raise CatalogueError(f"{self.tool} needs a response.")
        if not final and not self.rests_on:
            raise CatalogueError(f"{self.tool}: the response rests on nothing of the result.")

    @property
    def rests_on(self) -> tuple[str, ...]:
        """The fields of the result that the response uses, each once, in its order."""
        named = (name for _, name, _, _ in Formatter().parse(self.response) if name)
        return tuple(dict.fromkeys(named))

    def asked(self, facts: Mapping[str, Any] = FRESH) -> str:
        """The prompt as somebody would say it."""
        return self.prompt.format_map(facts)

    def called_with(self, facts: Mapping[str, Any] = FRESH) -> dict[str, Any]:
        return dict(self.arguments) | {name: facts[name] for name in self.facts}

    def responded(self, result: Mapping[str, Any]) -> str:
        """The simulated response. Raises KeyError where the result lacks what it rests on."""
        return self.response.format_map(result)

    def grounding(self, result: Mapping[str, Any]) -> str:
        """Which facts of the result the response rests on, and nothing else."""
        facts = ", ".join(f"{name}={result[name]}" for name in self.rests_on)
        return f"rests on {len(self.rests_on)} of {len(result)} facts of {self.tool}: {facts}"


CATALOGUE = (
    Entry(
        "initiate_wire_transfer",
        "Wire 2,500.50 to DE89370400440532013000 because the supplier's March delivery is due.",
        {
            "amount": 2500.50,
            "destination_iban": "DE89370400440532013000",
            "reason": "the supplier's March delivery is due",
        },
        destructive=True,
        irreversible=True,
        two_phase=True,
    ),
    Entry(
        "issue_invoice_refund",
        "Refund 120.50 EUR of invoice INV-1001.",
        {"invoice_id": "INV-1001", "amount": 120.50, "currency": "EUR"},
        response="I gave back {amount} {currency} of invoice {invoice_id}; the refund is number {refund_id}.",
    ),
    Entry(
        "freeze_payment_card",
        "Freeze the payment card of customer {customer_id} because it was reported stolen.",
        {"reason": "it was reported stolen"},
        ("customer_id",),
        destructive=True,
        two_phase=True,
    ),
    Entry(
        "unfreeze_payment_card",
        "Unfreeze the payment card of customer {customer_id}, as ticket {ticket_id} asks.",
        {},
        ("customer_id", "ticket_id"),
        response="The card of customer {customer_id} can be used again (frozen: {frozen}).",
    ),
    Entry(
        "create_expedited_shipment",
        "Send order ORD-5001 express by DHL.",
        {"order_id": "ORD-5001", "carrier": "DHL"},
        response="Order {order_id} is under way with {carrier}; the shipment is {shipment_id}.",
    ),
    Entry(
        "cancel_shipment",
        "Cancel shipment {shipment_id} because the address was wrong.",
        {"reason": "the address was wrong"},
        ("shipment_id",),
        response="Shipment {shipment_id} is {status}.",
    ),
    Entry(
        "schedule_clinic_visit",
        "Book a clinic visit for patient PAT-301 at 2027-03-04T09:30:00+01:00.",
        {"patient_id": "PAT-301", "slot_iso": "2027-03-04T09:30:00+01:00"},
        response="Patient {patient_id} is expected at {slot_iso}; the visit is number {visit_id}.",
    ),
    Entry(
        "change_subscription_plan",
        "Move account ACC-42 to the business plan from 2027-04-01.",
        {"account_id": "ACC-42", "new_plan": "business", "effective_date": "2027-04-01"},
        response="From {effective_date} on, account {account_id} has the plan {new_plan}.",
    ),
    Entry(
        "reset_enterprise_password",
        "Reset the password of employee EMP-204; the temporary secret is Kite-Harbour-7291.",
        {"employee_id": "EMP-204", "temporary_secret": "Kite-Harbour-7291"},
        destructive=True,
        irreversible=True,
        two_phase=True,
    ),
    Entry(
        "publish_feature_flag",
        "Roll the flag new_checkout out to 25 percent.",
        {"flag_name": "new_checkout", "rollout_percent": 25},
        response="{rollout_percent} percent of users now have {flag_name}.",
    ),
)


def unspoken(prompt: str, arguments: Mapping[str, Any]) -> str:
    """The prompt without the secrets among the arguments: it is stored, and they must not be."""
    for name in SECRET_ARGUMENTS & arguments.keys():
        prompt = prompt.replace(str(arguments[name]), "[secret]")
    return prompt


def shown(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as they may be printed."""
    return {name: "[secret]" if name in SECRET_ARGUMENTS else value for name, value in arguments.items()}
