"""Tools of a web shop, a clinic, a subscription service and an enterprise's IT."""

from typing import Annotated, Literal

from django.db import transaction
from pydantic import BaseModel, Field

from observatory.demo.inputs import Code, Reason, day, moment, refuse_nul
from observatory.demo.models import (
    Account,
    ClinicVisit,
    Employee,
    FeatureFlag,
    Order,
    PasswordReset,
    Patient,
    PlanChange,
    Shipment,
)
from tools.registry import ToolError, tool

Carrier = Literal["DHL", "FedEx", "PostNord", "UPS"]
Plan = Literal["starter", "team", "business", "enterprise"]


class ShipmentCreated(BaseModel):
    shipment_id: str
    order_id: str
    carrier: str
    status: str


class ShipmentCancelled(BaseModel):
    shipment_id: str
    status: str
    reason: str


class VisitBooked(BaseModel):
    visit_id: int
    patient_id: str
    slot_iso: str


class PlanChanged(BaseModel):
    account_id: str
    new_plan: str
    effective_date: str


class PasswordWasReset(BaseModel):
    employee_id: str
    reset_at: str
    must_choose_password: bool


class FlagPublished(BaseModel):
    flag_name: str
    rollout_percent: int


@tool(
    risk="medium",
    open_world=True,
    network="no",
    brings_untrusted_text="no",
    brings_private_data="no",
    sends_outside="yes",
)
def create_expedited_shipment(order_id: Code, carrier: Carrier) -> ShipmentCreated:
    """Sends an order's parcel by a carrier's fastest service. Each call sends one."""
    refuse_nul(order_id)
    order = Order.objects.filter(code=order_id).first()
    if order is None:
        raise ToolError(f"There is no order {order_id}.")
    made = Shipment.objects.create(order=order, carrier=carrier)
    return ShipmentCreated(shipment_id=made.code, order_id=order.code, carrier=made.carrier, status=made.status)


@tool(
    risk="medium",
    idempotent=True,
    network="no",
    brings_untrusted_text="no",
    brings_private_data="no",
    sends_outside="no",
)
def cancel_shipment(
    shipment_id: Annotated[str, Field(pattern="^SHP-[1-9][0-9]{0,17}$", examples=["SHP-12"])], reason: Reason
) -> ShipmentCancelled:
    """Calls a parcel back. A shipment that is cancelled already stays so, for its first reason."""
    refuse_nul(reason)
    with transaction.atomic():
        found = Shipment.objects.select_for_update().filter(pk=int(shipment_id.removeprefix("SHP-"))).first()
        if found is None:
            raise ToolError(f"There is no shipment {shipment_id}.")
        if found.status != Shipment.Status.CANCELLED:
            found.status, found.cancel_reason = Shipment.Status.CANCELLED, reason
            found.save()
    return ShipmentCancelled(shipment_id=found.code, status=found.status, reason=found.cancel_reason)


@tool(risk="medium", network="no", brings_untrusted_text="no", brings_private_data="no", sends_outside="no")
def schedule_clinic_visit(patient_id: Code, slot_iso: Annotated[str, Field(max_length=40)]) -> VisitBooked:
    """Books a visit at a moment, written as in ISO 8601 with its offset. Each call books one."""
    refuse_nul(patient_id)
    patient = Patient.objects.filter(code=patient_id).first()
    if patient is None:
        raise ToolError(f"There is no patient {patient_id}.")
    visit = ClinicVisit.objects.create(patient=patient, slot=moment(slot_iso))
    return VisitBooked(visit_id=visit.pk, patient_id=patient.code, slot_iso=visit.slot.isoformat())


@tool(
    risk="medium",
    idempotent=True,
    network="no",
    brings_untrusted_text="no",
    brings_private_data="no",
    sends_outside="no",
)
def change_subscription_plan(
    account_id: Code, new_plan: Plan, effective_date: Annotated[str, Field(max_length=10)]
) -> PlanChanged:
    """From the date on, written as in ISO 8601, the account has the plan. A later call for the same day replaces it."""
    refuse_nul(account_id)
    account = Account.objects.filter(code=account_id).first()
    if account is None:
        raise ToolError(f"There is no account {account_id}.")
    change, _ = PlanChange.objects.update_or_create(
        account=account, effective_date=day(effective_date), defaults={"new_plan": new_plan}
    )
    return PlanChanged(
        account_id=account.code, new_plan=change.new_plan, effective_date=change.effective_date.isoformat()
    )


@tool(
    risk="high",
    irreversible=True,
    network="no",
    requires_two_phase=True,
    brings_untrusted_text="no",
    brings_private_data="no",
    sends_outside="no",
)
def reset_enterprise_password(
    employee_id: Code, temporary_secret: Annotated[str, Field(min_length=12, max_length=128)]
) -> PasswordWasReset:
    """The employee's old password ends; after the temporary secret a new one must be chosen."""
    # The secret goes nowhere: not into a table, not into the answer.
    del temporary_secret
    refuse_nul(employee_id)
    with transaction.atomic():
        employee = Employee.objects.select_for_update().filter(code=employee_id).first()
        if employee is None:
            raise ToolError(f"There is no employee {employee_id}.")
        employee.must_choose_password = True
        employee.save(update_fields=["must_choose_password"])
        reset = PasswordReset.objects.create(employee=employee)
    return PasswordWasReset(employee_id=employee.code, reset_at=reset.reset_at.isoformat(), must_choose_password=True)


@tool(
    risk="medium",
    idempotent=True,
    open_world=True,
    network="no",
    brings_untrusted_text="no",
    brings_private_data="no",
    sends_outside="yes",
)
def publish_feature_flag(
    flag_name: Annotated[str, Field(pattern="^[a-z][a-z0-9_.-]{0,79}$")],
    rollout_percent: Annotated[int, Field(ge=0, le=100)],
) -> FlagPublished:
    """So many percent of users have the feature from now on."""
    flag, _ = FeatureFlag.objects.update_or_create(name=flag_name, defaults={"rollout_percent": rollout_percent})
    return FlagPublished(flag_name=flag.name, rollout_percent=flag.rollout_percent)
