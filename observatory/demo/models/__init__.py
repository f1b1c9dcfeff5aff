from observatory.demo.models.accounts import Account, Employee, FeatureFlag, PasswordReset, PlanChange
from observatory.demo.models.banking import Invoice, PaymentCard, Refund, Transfer, WireTransfer
from observatory.demo.models.clinic import ClinicVisit, Patient
from observatory.demo.models.crm import Customer, Message, Ticket
from observatory.demo.models.incident import Incident, Service
from observatory.demo.models.logistics import Order, Shipment

__all__ = (
    "Account",
    "ClinicVisit",
    "Customer",
    "Employee",
    "FeatureFlag",
    "Incident",
    "Invoice",
    "Message",
    "Order",
    "PasswordReset",
    "Patient",
    "PaymentCard",
    "PlanChange",
    "Refund",
    "Service",
    "Shipment",
    "Ticket",
    "Transfer",
    "WireTransfer",
)
