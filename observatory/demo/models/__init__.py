from observatory.demo.models.crm import Customer, Message, Ticket
from observatory.demo.models.incident import Incident, Service

__all__ = ("Customer", "Incident", "Message", "Service", "Ticket")
