"""A sentence becomes the one invocation that it means, or none."""

import pytest

from observatory.demo.catalogue import CATALOGUE, FRESH
from observatory.demo.planner import LONGEST_PROMPT, plan

PLANS = [
    (
        "Wire 75 to GB82WEST12345698765432 because rent is due.",
        "initiate_wire_transfer",
        {"amount": 75, "destination_iban": "GB82WEST12345698765432", "reason": "rent is due"},
    ),
    (
        "Please wire EUR 1,250,000.75 to FR1420041010050500013M02606 because invoice 7 of 2026-01-01 is open!",
        "initiate_wire_transfer",
        {
            "amount": 1250000.75,
            "destination_iban": "FR1420041010050500013M02606",
            "reason": "invoice 7 of 2026-01-01 is open",
        },
    ),
    (
        "Refund SEK 99 of invoice INV-77, because it was paid twice.",
        "issue_invoice_refund",
        {"invoice_id": "INV-77", "amount": 99, "currency": "SEK"},
    ),
    (
        "refund 0.01 USD for  invoice\nBILL-123456.",
        "issue_invoice_refund",
        {"invoice_id": "BILL-123456", "amount": 0.01, "currency": "USD"},
    ),
    (
        "Freeze the card of customer 9000 because he said: do not unfreeze it, or else.",
        "freeze_payment_card",
        {"customer_id": 9000, "reason": "he said: do not unfreeze it, or else"},
    ),
    (
        "FREEZE THE CARD OF CUSTOMER no. 7 because 2 of 3 payments were strange. Thank you.",
        "freeze_payment_card",
        {"customer_id": 7, "reason": "2 of 3 payments were strange"},
    ),
    (
        "Unfreeze the payment card of customer #12, as ticket 345 asks.",
        "unfreeze_payment_card",
        {"customer_id": 12, "ticket_id": 345},
    ),
    ("Ship order ORD-1 via PostNord.", "create_expedited_shipment", {"order_id": "ORD-1", "carrier": "PostNord"}),
    ("Send order AB-12 with UPS", "create_expedited_shipment", {"order_id": "AB-12", "carrier": "UPS"}),
    (
        "Cancel shipment SHP-99 because nobody is at home.",
        "cancel_shipment",
        {"shipment_id": "SHP-99", "reason": "nobody is at home"},
    ),
    (
        "Schedule a visit at 2028-12-31T23:05Z for patient PAT-1.",
        "schedule_clinic_visit",
        {"patient_id": "PAT-1", "slot_iso": "2028-12-31T23:05Z"},
    ),
    (
        "Switch account ACC-1 to the starter plan on 2030-01-31.",
        "change_subscription_plan",
        {"account_id": "ACC-1", "new_plan": "starter", "effective_date": "2030-01-31"},
    ),
    (
        "Reset the password of employee EMP-9; the temporary secret is a1!b2.c3,d4;e5.",
        "reset_enterprise_password",
        {"employee_id": "EMP-9", "temporary_secret": "a1!b2.c3,d4;e5"},
    ),
    (
        "Roll the flag dark.mode-2 out to 100%.",
        "publish_feature_flag",
        {"flag_name": "dark.mode-2", "rollout_percent": 100},
    ),
    ("Roll out flag x1 to 0 percent", "publish_feature_flag", {"flag_name": "x1", "rollout_percent": 0}),
]


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.tool)
@pytest.mark.parametrize("facts", [FRESH, {"customer_id": 31, "ticket_id": 4, "shipment_id": "SHP-159"}])
def test_prompt_of_the_catalogue_is_planned(entry, facts):
    found = plan(entry.asked(facts))
    assert found is not None
    assert (found.tool, found.arguments) == (entry.tool, entry.called_with(facts))


@pytest.mark.parametrize(("prompt", "tool", "arguments"), PLANS)
def test_other_values_in_such_words_are_planned(prompt, tool, arguments):
    found = plan(prompt)
    assert found is not None
    assert (found.tool, found.arguments) == (tool, arguments)
    assert type(found.arguments.get("amount")) is type(arguments.get("amount"))


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "Hello!",
        "What is the weather in Malmö",
        "Transfer 100 to acct_123.",
        "Wire 100 to my brother because he asked.",
        "Wire to GB82WEST12345698765432 because rent is due.",
        "Wire 100 to GB82WEST12345698765432.",
        "Wire -100 to GB82WEST12345698765432 because rent is due.",
        "Wire 1e5 to GB82WEST12345698765432 because rent is due.",
        "Wire 1,00 to GB82WEST12345698765432 because rent is due.",
        "Wire 100.505 to GB82WEST12345698765432 because rent is due.",
        "Wire ١٠٠ to GB82WEST12345698765432 because rent is due.",
        "Refund 10 of invoice INV-1.",
        "Refund 10 EUR.",
        "Freeze the card of customer 0 because it was stolen.",
        "Freeze the card of customer twelve because it was stolen.",
        "Freeze the card of customer 12.",
        "Book a visit for patient PAT-1 on Monday at nine.",
        "Book a visit for patient PAT-1 at 2027-03-04T09:30.",
        "Reset the password of employee EMP-9; the temporary secret is short.",
        "Roll the flag x out to many.",
        "x" * (LONGEST_PROMPT + 1),
    ],
)
def test_nothing_is_planned_when_the_prompt_fits_no_tool(prompt):
    assert plan(prompt) is None


@pytest.mark.parametrize(
    "prompt",
    [
        "Wire 100 or 200 to GB82WEST12345698765432 because rent is due.",
        "Wire 100 200 to GB82WEST12345698765432 because rent is due.",
        "Wire 100 to GB82WEST12345698765432, DE89370400440532013000 because rent is due.",
        "Wire roughly 100 to GB82WEST12345698765432 because rent is due.",
        "Wire 100 to GB82WEST12345698765432 because rent is due. Wire 5 more because it is late.",
        "Wire 100 to GB82WEST12345698765432 if there is money because rent is due.",
        "Refund 10 EUR, 12 USD of invoice INV-1.",
        "Refund 10 EUR of invoice INV-1, INV-2.",
        "Refund 10 EUR of invoice INV-1. Cancel shipment SHP-1 because it is late.",
        "Freeze the cards of customers 3 and 4 because they were stolen.",
        "Freeze the card of customer 3 and 4 because they were stolen.",
        "Freeze the card of customer 3, customer 4 because they were stolen.",
        "Do not freeze the card of customer 3 because it was found.",
        "Don't freeze the card of customer 3 because it was found.",
        "Freeze the card of customer 3 because it was stolen. Unfreeze the card of customer 4.",
        "Freeze the card of customer 3 because it was stolen. Unfreeze that card.",
        "Freeze the card of customer 3 because it was stolen. Freeze it because it was lost.",
        "Should we freeze the card of customer 3? Because it was stolen.",
        "Unfreeze the payment card of customer 1, as ticket 2 or ticket 3 asks.",
        "Send order ORD-1 by DHL or UPS.",
        "Send order ORD-1 by DHL, UPS.",
        "Send order ORD-1 by DHL and UPS.",
        "Move account ACC-1 to the team plan from 2027-01-01, then to the business plan.",
        "Move account ACC-1 to the team plan from 2027-01-01 until 2027-06-01.",
        "Roll the flags a, b out to 5 percent.",
        "Roll the flag a, b out to 5 percent.",
        "Roll the flag a out to 5 or 10 percent.",
        "Maybe roll the flag a out to 5 percent.",
    ],
)
def test_nothing_is_planned_when_the_prompt_can_be_read_in_two_ways(prompt):
    assert plan(prompt) is None


def test_secret_of_an_invocation_is_not_in_its_repr():
    found = plan("Reset the password of employee EMP-9; the temporary secret is Kite-Harbour-7291.")
    assert found is not None
    assert "Kite" not in repr(found)
