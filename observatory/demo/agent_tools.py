"""The five tools of the first workflow: names, arguments and answers are on the wire and stay as they are.

The others stand in modules of their own, imported here so that they are found.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from observatory.demo import banking, business
from observatory.demo.inputs import customer_of, refuse_nul
from observatory.demo.models import Customer, Message, Ticket
from tools.registry import tool

__all__ = ("banking", "business")

Text = Annotated[str, Field(max_length=300)]


class CustomerOut(BaseModel):
    id: int
    name: str
    status: str


class CustomersFound(BaseModel):
    results: list[CustomerOut]


class TicketOut(BaseModel):
    id: int
    customer_id: int
    title: str
    priority: str
    created_at: str


class TicketCreated(BaseModel):
    ticket: TicketOut
    idempotent_replay: bool = False


class StatusChange(BaseModel):
    requires_confirmation: bool = False
    pending_action_id: str | None = None
    customer: CustomerOut | None = None


class MessageSent(BaseModel):
    sent: bool
    channel: str


class IncidentImpact(BaseModel):
    incident_id: str
    affected_customers: list[CustomerOut]


def _out(customer: Customer) -> CustomerOut:
    return CustomerOut(id=customer.pk, name=customer.name, status=customer.status)


@tool(
    risk="low",
    read_only=True,
    network="no",
    brings_untrusted_text="yes",  # customers register themselves, under names of their own
    brings_private_data="yes",
    sends_outside="no",
)
def search_customer(query: Text) -> CustomersFound:
    """Customers whose name contains the query, whatever its case."""
    found = Customer.objects.filter(name__icontains=query.replace("\x00", ""))[:50]
    return CustomersFound(results=[_out(customer) for customer in found])


@tool(
    risk="low",
    network="no",
    brings_untrusted_text="no",
    brings_private_data="no",
    sends_outside="no",
    supports_idempotency_key=True,
)
def create_ticket(
    customer_id: int,
    title: Annotated[str, Field(min_length=3, max_length=300)],
    description: Annotated[str, Field(max_length=10_000)] | None = None,
    priority: Annotated[str, Field(max_length=40)] = "medium",
) -> TicketCreated:
    """Opens a support ticket for a customer."""
    refuse_nul(title, description or "", priority)
    ticket = Ticket.objects.create(
        customer=customer_of(customer_id), title=title, description=description or "", priority=priority
    )
    return TicketCreated(
        ticket=TicketOut(
            id=ticket.pk,
            customer_id=ticket.customer_id,
            title=ticket.title,
            priority=ticket.priority,
            created_at=ticket.created_at.isoformat(),
        )
    )


@tool(
    risk="high",
    network="no",
    brings_untrusted_text="yes",
    brings_private_data="yes",
    sends_outside="no",
    idempotent=True,
    requires_approval=True,
    accepts_confirm=True,
)
def update_customer_status(
    customer_id: int, new_status: Annotated[str, Field(min_length=1, max_length=80)]
) -> StatusChange:
    """Changes a customer's status. Waits for a person unless the policy lets the key confirm for itself."""
    refuse_nul(new_status)
    customer = customer_of(customer_id)
    customer.status = new_status
    customer.save(update_fields=["status"])
    return StatusChange(customer=_out(customer))


@tool(risk="low", network="no", brings_untrusted_text="no", brings_private_data="no", sends_outside="yes")
def send_message(
    channel: Annotated[str, Field(max_length=120)], message: Annotated[str, Field(max_length=4_000)]
) -> MessageSent:
    """Posts a message to a support channel. In the demonstration the channel is a table."""
    refuse_nul(channel, message)
    Message.objects.create(channel=channel, message=message)
    return MessageSent(sent=True, channel=channel)


@tool(
    risk="low",
    read_only=True,
    network="no",
    brings_untrusted_text="yes",
    brings_private_data="yes",
    sends_outside="no",
)
def get_incident_impact(incident_id: Annotated[str, Field(max_length=40)]) -> IncidentImpact:
    """The customers who depend on a service that the incident touches; an unknown incident touches nobody."""
    code = incident_id.replace("\x00", "")
    customers = Customer.objects.filter(services__incidents__code=code).distinct().order_by("pk")
    return IncidentImpact(incident_id=incident_id, affected_customers=[_out(customer) for customer in customers])
