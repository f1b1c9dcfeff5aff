"""What the bank, the shop, the clinic and the IT department of the demonstration start with."""

from observatory.demo.models import Account, Customer, Employee, Invoice, Order, Patient, PaymentCard

INVOICES = {
    "INV-1001": ("ACME AB", "480.00", "EUR"),
    "INV-1002": ("Nordic Widgets", "1250.00", "SEK"),
    "INV-1003": ("Beta Logistics", "99.90", "EUR"),
}
ORDERS = {"ORD-5001": "ACME AB", "ORD-5002": "Nordic Widgets", "ORD-5003": "Beta Logistics"}
PATIENTS = ("PAT-301", "PAT-302", "PAT-303")
ACCOUNTS = {"ACC-41": "starter", "ACC-42": "team", "ACC-43": "business"}
EMPLOYEES = ("EMP-204", "EMP-205", "EMP-206")


def seed_business() -> None:
    """Cards, invoices, orders, patients, accounts and employees are there; what is there stays as it is."""
    customers = {customer.name: customer for customer in Customer.objects.all()}
    for customer in customers.values():
        PaymentCard.objects.get_or_create(customer=customer)
    for code, (name, amount, currency) in INVOICES.items():
        paid = {"customer": customers[name], "amount": amount, "currency": currency}
        Invoice.objects.get_or_create(code=code, defaults=paid)
    for code, name in ORDERS.items():
        Order.objects.get_or_create(code=code, defaults={"customer": customers[name]})
    for code in PATIENTS:
        Patient.objects.get_or_create(code=code)
    for code, plan in ACCOUNTS.items():
        Account.objects.get_or_create(code=code, defaults={"plan": plan})
    for code in EMPLOYEES:
        Employee.objects.get_or_create(code=code)
