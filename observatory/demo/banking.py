"""Tools that move money and freeze cards. What they do is done in the demonstration's tables."""

from typing import Annotated

from django.db import transaction
from pydantic import BaseModel, Field

from observatory.demo.inputs import LARGEST_ID, Amount, Code, Reason, customer_of, iban, money, refuse_nul
from observatory.demo.models import Customer, Invoice, PaymentCard, Refund, Transfer, WireTransfer
from tools.registry import ToolError, tool


class FundsTransferred(BaseModel):
    transfer_id: int
    amount: float
    to: str
    sent_at: str


class WireSent(BaseModel):
    wire_id: int
    amount: float
    destination_iban: str
    sent_at: str


class InvoiceRefunded(BaseModel):
    refund_id: int
    invoice_id: str
    amount: float
    currency: str
    refunded_at: str


class CardState(BaseModel):
    customer_id: int
    frozen: bool


@tool(
    risk="high",
    irreversible=True,
    network="no",
    requires_two_phase=True,
    brings_untrusted_text="no",
    brings_private_data="no",
    sends_outside="no",
)
def transfer_funds(amount: Amount, to: Annotated[str, Field(min_length=3, max_length=80)]) -> FundsTransferred:
    """Sends money to an account of the same bank. It can't be called back."""
    refuse_nul(to)
    sent = Transfer.objects.create(amount=money(amount), to=to)
    return FundsTransferred(
        transfer_id=sent.pk, amount=float(sent.amount), to=sent.to, sent_at=sent.sent_at.isoformat()
    )


@tool(
    risk="high",
    irreversible=True,
    network="no",
    requires_two_phase=True,
    brings_untrusted_text="no",
    brings_private_data="no",
    sends_outside="yes",
)
def initiate_wire_transfer(
    amount: Amount, destination_iban: Annotated[str, Field(min_length=15, max_length=42)], reason: Reason
) -> WireSent:
    """Sends money to another bank. It can't be called back."""
    refuse_nul(reason)
    sent = WireTransfer.objects.create(amount=money(amount), destination_iban=iban(destination_iban), reason=reason)
    return WireSent(
        wire_id=sent.pk,
        amount=float(sent.amount),
        destination_iban=sent.destination_iban,
        sent_at=sent.sent_at.isoformat(),
    )


@tool(
    risk="medium",
    idempotent=True,
    network="no",
    brings_untrusted_text="no",
    brings_private_data="no",
    sends_outside="no",
)
def issue_invoice_refund(
    invoice_id: Code, amount: Amount, currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
) -> InvoiceRefunded:
    """Gives back an invoice's money, all or a part. An invoice is refunded once: the same again answers the same."""
    refuse_nul(invoice_id)
    invoice = Invoice.objects.filter(code=invoice_id).first()
    if invoice is None:
        raise ToolError(f"There is no invoice {invoice_id}.")
    if currency != invoice.currency:
        raise ToolError(f"The invoice {invoice_id} is in {invoice.currency}.")
    if money(amount) > invoice.amount:
        raise ToolError(f"The invoice {invoice_id} is over {invoice.amount} {invoice.currency} only.")
    refund, _ = Refund.objects.get_or_create(invoice=invoice, defaults={"amount": money(amount)})
    if refund.amount != money(amount):
        raise ToolError(f"The invoice {invoice_id} was refunded already, with {refund.amount} {currency}.")
    return InvoiceRefunded(
        refund_id=refund.pk,
        invoice_id=invoice.code,
        amount=float(refund.amount),
        currency=currency,
        refunded_at=refund.refunded_at.isoformat(),
    )


# Nobody can pay with a frozen card: something is taken away, though it can be given back.
@tool(
    risk="high",
    idempotent=True,
    destructive=True,
    network="no",
    requires_two_phase=True,
    brings_untrusted_text="no",
    brings_private_data="no",
    sends_outside="no",
)
def freeze_payment_card(customer_id: int, reason: Reason) -> CardState:
    """Nobody can pay with the customer's card until it is unfrozen."""
    refuse_nul(reason)
    with transaction.atomic():
        card = _card(customer_of(customer_id))
        # The first reason stays: freezing a frozen card changes nothing.
        if not card.frozen:
            card.frozen, card.freeze_reason, card.unfrozen_by = True, reason, None
            card.save()
    return CardState(customer_id=customer_id, frozen=True)


@tool(
    risk="medium",
    idempotent=True,
    network="no",
    brings_untrusted_text="no",
    brings_private_data="no",
    sends_outside="no",
)
def unfreeze_payment_card(customer_id: int, ticket_id: int) -> CardState:
    """The customer's card pays again. The ticket is one of this customer and says why."""
    customer = customer_of(customer_id)
    ticket = customer.tickets.filter(pk=ticket_id).first() if 0 < ticket_id <= LARGEST_ID else None
    if ticket is None:
        raise ToolError(f"Customer {customer_id} has no ticket {ticket_id}.")
    with transaction.atomic():
        card = _card(customer)
        if card.frozen:
            card.frozen, card.freeze_reason, card.unfrozen_by = False, "", ticket
            card.save()
    return CardState(customer_id=customer_id, frozen=False)


def _card(customer: Customer) -> PaymentCard:
    """The customer's card, locked."""
    card = PaymentCard.objects.select_for_update().filter(customer=customer).first()
    if card is None:
        raise ToolError(f"Customer {customer.pk} has no payment card.")
    return card
