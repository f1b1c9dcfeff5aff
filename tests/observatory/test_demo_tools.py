"""The demonstration's tools of money, cards, parcels, visits, plans, passwords and flags: what stays of each call."""

import datetime as dt
import json
from decimal import Decimal

import pytest
from django.apps import apps
from django.core import serializers
from django.db import connection

from observatory.demo.catalogue import CATALOGUE, FRESH, CatalogueError, Entry, shown, unspoken
from observatory.demo.models import (
    Account,
    ClinicVisit,
    Customer,
    Employee,
    FeatureFlag,
    PasswordReset,
    PaymentCard,
    PlanChange,
    Refund,
    Shipment,
    Ticket,
    Transfer,
    WireTransfer,
)
from observatory.demo.seed import seed_data
from tools.registry import ToolContext, ToolError, find
from tools.schema_validator import SchemaValidator

IBAN = "DE89370400440532013000"
# From the wire contract: arguments, then D destructive, I idempotent, W open world, 2 by two phases.
CONTRACT = [
    ("transfer_funds", ["amount", "to"], "D2"),
    ("initiate_wire_transfer", ["amount", "destination_iban", "reason"], "D2"),
    ("issue_invoice_refund", ["invoice_id", "amount", "currency"], "I"),
    ("freeze_payment_card", ["customer_id", "reason"], "DI2"),
    ("unfreeze_payment_card", ["customer_id", "ticket_id"], "I"),
    ("create_expedited_shipment", ["order_id", "carrier"], "W"),
    ("cancel_shipment", ["shipment_id", "reason"], "I"),
    ("schedule_clinic_visit", ["patient_id", "slot_iso"], ""),
    ("change_subscription_plan", ["account_id", "new_plan", "effective_date"], "I"),
    ("reset_enterprise_password", ["employee_id", "temporary_secret"], "D2"),
    ("publish_feature_flag", ["flag_name", "rollout_percent"], "IW"),
]
CAN_BE_UNDONE = {"freeze_payment_card"}


@pytest.fixture
def seeded(db):
    """What the demonstration starts with; the customer of its invoices, orders and cards."""
    seed_data()
    return Customer.objects.get(name="ACME AB")


def problems(schema, instance):
    return SchemaValidator(schema).problems(instance)


def run(name, **arguments):
    """The tool itself, without the gate that two phases are: its arguments fit its schema, and its answer too."""
    tool = find(name)
    assert tool is not None
    assert problems(tool.declaration.input_schema, arguments) == []
    context = ToolContext(call_id="c", agent="a", now=dt.datetime.now(dt.UTC))
    answer = tool.bind(arguments, context)()
    assert problems(tool.declaration.output_schema, answer) == []
    return answer


def refused(name, **arguments):
    with pytest.raises(ToolError) as caught:
        run(name, **arguments)
    return str(caught.value)


@pytest.mark.parametrize(("name", "arguments", "marks"), CONTRACT)
def test_tool_is_declared_as_the_contract_has_it(name, arguments, marks):
    said = find(name).declaration
    assert list(said.input_schema["properties"]) == said.input_schema["required"] == arguments
    assert said.annotations == {
        "readOnlyHint": False,
        "destructiveHint": "D" in marks,
        "idempotentHint": "I" in marks,
        "openWorldHint": "W" in marks,
    }
    assert said.settings["requires_two_phase"] == ("2" in marks)
    assert said.settings["risk"] == ("high" if "2" in marks else "medium")
    assert said.settings["irreversible"] == ("D" in marks and name not in CAN_BE_UNDONE)


@pytest.mark.parametrize("amount", [100, 100.25, 0.01, 1_000_000])
def test_transfer_is_kept_each_time(seeded, amount):
    first, second = (run("transfer_funds", amount=amount, to="acct_123") for _ in range(2))
    assert first["transfer_id"] != second["transfer_id"]
    assert [(t.amount, t.to) for t in Transfer.objects.all()] == [(Decimal(str(amount)), "acct_123")] * 2
    assert first["amount"] == amount


@pytest.mark.parametrize("amount", [0.001, 99.999, 1e-300])
def test_amount_is_refused_when_it_is_not_whole_cents(seeded, amount):
    assert "decimals" in refused("transfer_funds", amount=amount, to="acct_123")
    assert not Transfer.objects.exists()


@pytest.mark.parametrize("amount", [0, -1, 1_000_001, "100", True, None])
def test_amount_does_not_fit_the_schema(amount):
    assert problems(find("transfer_funds").declaration.input_schema, {"amount": amount, "to": "acct_123"})


@pytest.mark.parametrize(
    "number", [IBAN, "GB82 WEST 1234 5698 7654 32", "NO9386011117947", "MT84MALT011000012345MTLCAST001S"]
)
def test_wire_is_kept_when_the_iban_is_right(seeded, number):
    sent = run("initiate_wire_transfer", amount=10, destination_iban=number, reason="rent")
    kept = WireTransfer.objects.get(pk=sent["wire_id"])
    assert (kept.destination_iban, kept.reason) == (number.replace(" ", ""), "rent")


@pytest.mark.parametrize(
    "number",
    [
        "DE89370400440532013001",
        "DE98370400440532013000",
        IBAN.lower(),
        "DE8937040044",
        "XX" + "1" * 30,
        "１" * 20,
        f"{IBAN}\n",
    ],
)
def test_wire_is_refused_when_the_iban_is_wrong(seeded, number):
    with pytest.raises((ToolError, AssertionError)):
        run("initiate_wire_transfer", amount=10, destination_iban=number, reason="rent")
    assert not WireTransfer.objects.exists()


def test_refund_twice_is_one_refund(seeded):
    asked = {"invoice_id": "INV-1001", "amount": 120.5, "currency": "EUR"}
    assert run("issue_invoice_refund", **asked) == run("issue_invoice_refund", **asked)
    assert Refund.objects.get().amount == Decimal("120.50")
    assert "already" in refused("issue_invoice_refund", **asked | {"amount": 1})


@pytest.mark.parametrize(
    ("other", "words"),
    [({"invoice_id": "INV-9"}, "no invoice"), ({"currency": "SEK"}, "in EUR"), ({"amount": 480.01}, "480.00 EUR only")],
)
def test_refund_is_refused_when_the_invoice_says_otherwise(seeded, other, words):
    asked = {"invoice_id": "INV-1001", "amount": 480, "currency": "EUR"}
    assert words in refused("issue_invoice_refund", **asked | other)
    assert not Refund.objects.exists()
    run("issue_invoice_refund", **asked)


def test_card_is_frozen_once_and_unfrozen_once(seeded):
    ticket = Ticket.objects.create(customer=seeded, title="Found")
    other = Ticket.objects.create(customer=seeded, title="Found again")
    frozen = run("freeze_payment_card", customer_id=seeded.pk, reason="stolen")
    assert frozen == run("freeze_payment_card", customer_id=seeded.pk, reason="stolen again")
    card = PaymentCard.objects.get(customer=seeded)
    assert (card.frozen, card.freeze_reason, card.unfrozen_by) == (True, "stolen", None)
    opened = run("unfreeze_payment_card", customer_id=seeded.pk, ticket_id=ticket.pk)
    assert opened == run("unfreeze_payment_card", customer_id=seeded.pk, ticket_id=other.pk)
    card.refresh_from_db()
    assert (card.frozen, card.freeze_reason, card.unfrozen_by) == (False, "", ticket)
    assert PaymentCard.objects.filter(frozen=True).count() == 0


def test_card_stays_frozen_when_the_ticket_is_somebody_elses(seeded):
    ticket = Ticket.objects.create(customer=Customer.objects.get(name="Nordic Widgets"), title="Found")
    run("freeze_payment_card", customer_id=seeded.pk, reason="stolen")
    for wrong in (ticket.pk, 0, -1, 2**63):
        assert "no ticket" in refused("unfreeze_payment_card", customer_id=seeded.pk, ticket_id=wrong)
    assert PaymentCard.objects.get(customer=seeded).frozen


def test_card_is_refused_when_there_is_none(seeded):
    PaymentCard.objects.all().delete()
    assert "no payment card" in refused("freeze_payment_card", customer_id=seeded.pk, reason="stolen")
    assert "no customer" in refused("freeze_payment_card", customer_id=2**63, reason="stolen")


def test_each_shipment_is_a_new_one_and_is_cancelled_once(seeded):
    made = [run("create_expedited_shipment", order_id="ORD-5001", carrier="DHL") for _ in range(2)]
    first, second = (found["shipment_id"] for found in made)
    assert first != second
    assert made[0]["status"] == "under_way"
    cancelled = run("cancel_shipment", shipment_id=first, reason="wrong address")
    assert cancelled == {"shipment_id": first, "status": "cancelled", "reason": "wrong address"}
    assert run("cancel_shipment", shipment_id=first, reason="another reason") == cancelled
    assert sorted(Shipment.objects.values_list("status", flat=True)) == ["cancelled", "under_way"]


def test_shipment_is_refused_when_unknown(seeded):
    assert "no order" in refused("create_expedited_shipment", order_id="ORD-1", carrier="DHL")
    for shipment in ("SHP-999999", "SHP-999999999999999999"):
        assert "no shipment" in refused("cancel_shipment", shipment_id=shipment, reason="late")


def test_each_visit_is_booked_at_its_moment(seeded):
    asked = {"patient_id": "PAT-301", "slot_iso": "2027-03-04T09:30:00+01:00"}
    assert run("schedule_clinic_visit", **asked)["slot_iso"] == "2027-03-04T08:30:00+00:00"
    run("schedule_clinic_visit", **asked)
    slots = list(ClinicVisit.objects.values_list("slot", flat=True))
    assert slots == [dt.datetime(2027, 3, 4, 8, 30, tzinfo=dt.UTC)] * 2
    assert "no patient" in refused("schedule_clinic_visit", **asked | {"patient_id": "PAT-1"})


@pytest.mark.parametrize(
    "slot", ["", "tomorrow", "2027-03-04T09:30:00", "2027-02-30T09:30:00Z", "0001-01-01T00:00:00+14:00", "1772600000"]
)
def test_visit_is_refused_when_its_moment_is_unclear(seeded, slot):
    refused("schedule_clinic_visit", patient_id="PAT-301", slot_iso=slot)
    assert not ClinicVisit.objects.exists()


def test_plan_is_changed_once_a_day(seeded):
    asked = {"account_id": "ACC-42", "new_plan": "business", "effective_date": "2027-04-01"}
    assert run("change_subscription_plan", **asked) == asked == run("change_subscription_plan", **asked)
    run("change_subscription_plan", **asked | {"new_plan": "team"})
    change = PlanChange.objects.get()
    assert (change.account, change.new_plan, change.effective_date) == (
        Account.objects.get(code="ACC-42"),
        "team",
        dt.date(2027, 4, 1),
    )
    for wrong in ({"account_id": "ACC-1"}, {"effective_date": "1 April"}, {"effective_date": "2027-02-29"}):
        refused("change_subscription_plan", **asked | wrong)


def test_password_reset_leaves_no_secret_anywhere(seeded):
    secret = "Kite-Harbour-7291"
    answer = run("reset_enterprise_password", employee_id="EMP-204", temporary_secret=secret)
    assert PasswordReset.objects.get().employee == Employee.objects.get(must_choose_password=True)
    rows = [row for model in apps.get_app_config("demo").get_models() for row in model.objects.all()]
    assert secret not in serializers.serialize("json", rows) + json.dumps(answer)
    run("reset_enterprise_password", employee_id="EMP-204", temporary_secret=secret)
    assert PasswordReset.objects.count() == 2
    assert secret not in refused("reset_enterprise_password", employee_id="EMP-1", temporary_secret=secret)


def test_password_secret_is_in_no_table_when_reset_by_two_phases(world):
    Employee.objects.create(code="EMP-204")
    entry = next(entry for entry in CATALOGUE if entry.tool == "reset_enterprise_password")
    arguments = entry.called_with()
    caller = world.caller(world.allowing(entry.tool))
    assert caller.call(entry.tool, arguments).json()["code"] == "two_phase_required"
    asked = {"tool": entry.tool, "args": arguments, "prompt": unspoken(entry.asked(), arguments)}
    proposal = caller.post("/proposals", asked).json()
    assert (proposal["status"], PasswordReset.objects.count()) == ("allowed", 0)
    done = caller.post(
        f"/proposals/{proposal['proposal_id']}/commit", {"commit_token": proposal["commit_token"], "args": arguments}
    ).json()
    assert (done["status"], done["result"]["employee_id"]) == ("committed", "EMP-204")
    assert PasswordReset.objects.count() == 1
    tables = stored()
    assert "EMP-204" in tables
    assert arguments["temporary_secret"] not in tables + json.dumps(done)


def stored():
    """Every row of every table as text."""
    with connection.cursor() as cursor:
        text = ""
        for table in connection.introspection.table_names(cursor):
            name = connection.ops.quote_name(table)
            cursor.execute(f"SELECT t::text FROM {name} t")
            text += "\n".join(row[0] for row in cursor.fetchall())
    return text


def test_flag_is_published_as_it_was_last_said(seeded):
    for percent in (0, 25, 25, 100):
        assert run("publish_feature_flag", flag_name="new_checkout", rollout_percent=percent) == {
            "flag_name": "new_checkout",
            "rollout_percent": percent,
        }
    assert FeatureFlag.objects.get().rollout_percent == 100


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("publish_feature_flag", {"flag_name": "x", "rollout_percent": 101}),
        ("publish_feature_flag", {"flag_name": "x", "rollout_percent": -1}),
        ("publish_feature_flag", {"flag_name": "x", "rollout_percent": 2.5}),
        ("publish_feature_flag", {"flag_name": "New Checkout", "rollout_percent": 5}),
        ("issue_invoice_refund", {"invoice_id": "INV-1001", "amount": 1, "currency": "eur"}),
        ("issue_invoice_refund", {"invoice_id": "INV-1001", "amount": 1, "currency": "EURO"}),
        ("create_expedited_shipment", {"order_id": "ORD-5001", "carrier": "Pigeon"}),
        ("cancel_shipment", {"shipment_id": "12", "reason": "late"}),
        ("change_subscription_plan", {"account_id": "A", "new_plan": "gold", "effective_date": "2027-04-01"}),
        ("reset_enterprise_password", {"employee_id": "EMP-204", "temporary_secret": "short"}),
        ("freeze_payment_card", {"customer_id": "1", "reason": "stolen"}),
    ],
)
def test_arguments_do_not_fit_the_schema(name, arguments):
    assert problems(find(name).declaration.input_schema, arguments)


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.tool)
def test_entry_says_of_its_tool_what_the_tool_declares(entry):
    said = find(entry.tool).declaration
    assert entry.destructive == said.annotations["destructiveHint"]
    assert entry.irreversible == said.settings["irreversible"]
    assert entry.two_phase == said.settings["requires_two_phase"]


def test_catalogue_has_the_ten_of_the_contract_in_its_order():
    assert [entry.tool for entry in CATALOGUE] == [name for name, _, _ in CONTRACT[1:]]
    assert len({entry.prompt for entry in CATALOGUE}) == 10


@pytest.mark.parametrize("kind", ["destructive", "irreversible", "two_phase"])
def test_catalogue_refuses_a_response_when_the_tool_is_final(kind):
    Entry("t", "p", {}, **{kind: True})
    with pytest.raises(CatalogueError, match="no secondary response"):
        Entry("t", "p", {}, **{kind: True}, response="It went {well}.")


@pytest.mark.parametrize("response", ["", "All is well."])
def test_catalogue_refuses_a_standard_tool_when_its_response_rests_on_nothing(response):
    with pytest.raises(CatalogueError, match=r"needs|rests"):
        Entry("t", "p", {}, response=response)


def test_response_and_grounding_hold_what_the_tool_answered(seeded):
    ticket = Ticket.objects.create(customer=seeded, title="Found")
    facts = dict(FRESH) | {"customer_id": seeded.pk, "ticket_id": ticket.pk}
    for entry in CATALOGUE:
        answer = run(entry.tool, **entry.called_with(facts))
        facts |= {name: value for name, value in answer.items() if name == "shipment_id"}
        if entry.response:
            said, grounding = entry.responded(answer), entry.grounding(answer)
            assert all(str(answer[name]) in said and f"{name}={answer[name]}" in grounding for name in entry.rests_on)
            assert "{" not in said


def test_grounding_names_each_fact_once():
    entry = Entry("t", "p", {}, response="{a} and {a}, then {b}.")
    assert entry.grounding({"a": 1, "b": 2, "c": 3}) == "rests on 2 of 3 facts of t: a=1, b=2"
    with pytest.raises(KeyError):
        entry.responded({"a": 1})


def test_secret_of_a_request_is_neither_printed_nor_sent_as_prompt():
    entry = next(entry for entry in CATALOGUE if entry.tool == "reset_enterprise_password")
    arguments = entry.called_with()
    secret = arguments["temporary_secret"]
    assert secret in entry.asked()
    assert secret not in unspoken(entry.asked(), arguments) + repr(shown(arguments))
