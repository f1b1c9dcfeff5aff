"""What is only ever added to: refused by the queryset, by the model, and by the database itself."""

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from telemetry.append_only import AppendOnlyError, AppendOnlyModel
from telemetry.models import AlertInstance, AlertRule, AlertTransition, AuditEvent
from telemetry.recorder import SYSTEM, OutsideTransactionError, record_event
from tests.conftest import APPEND_ONLY
from tests.journeys.proposals import committed, proposed, ticket

pytestmark = pytest.mark.django_db


def test_every_append_only_model_is_guarded_by_its_table():
    tables = {m._meta.db_table for m in apps.get_models() if issubclass(m, AppendOnlyModel)}
    assert tables == set(APPEND_ONLY)


def rows(world, table):
    caller = world.caller(world.allowing())
    held = caller.call("update_customer_status", {"customer_id": world.acme.pk, "new_status": "vip"}).json()
    bob = world.caller(caller.key.policy, name="bobs-agent", owner=world.bob)
    assert bob.post(f"/confirm/{held['pending_action_id']}", {"approve": True}).status_code == 200
    proposing = world.caller(world.two_phase(), name="proposing")
    assert committed(proposing, proposed(proposing, ticket(world)).json()).status_code == 200
    now = timezone.now()
    rule = AlertRule.objects.create(name="Denials", metric="denied_rate", threshold=0.1)
    alert = AlertInstance.objects.create(rule=rule, dedupe_key="of this test", since=now, evaluated_at=now)
    AlertTransition(instance=alert, rule_name=rule.name, was="inactive", became="firing", at=now, threshold=0.1).save()
    return next(m for m in apps.get_models() if m._meta.db_table == table)


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_a_row_can_be_neither_changed_nor_deleted(world, table):
    model = rows(world, table)
    row = model.objects.first()
    with pytest.raises(AppendOnlyError):
        row.save()
    with pytest.raises(AppendOnlyError):
        row.delete()
    with pytest.raises(AppendOnlyError):
        model.objects.all().delete()
    with pytest.raises(AppendOnlyError):
        model.objects.update(id=1)
    for statement in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}"):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert model.objects.filter(pk=row.pk).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", APPEND_ONLY)
def test_a_table_cannot_be_emptied(table):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER {table}_no_truncate")
        with pytest.raises(DatabaseError, match="append-only"):
            cursor.execute(f"TRUNCATE {table} CASCADE")
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_no_truncate")


@pytest.mark.django_db(transaction=True)
def test_an_event_outside_a_transaction_is_refused():
    with pytest.raises(OutsideTransactionError):
        record_event("agent.created", SYSTEM)
    assert AuditEvent.objects.count() == 0


def test_an_unregistered_event_type_is_refused():
    with pytest.raises(KeyError):
        record_event("agent.invented", SYSTEM)


def test_each_event_carries_its_transaction_id():
    record_event("agent.created", SYSTEM)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        current = cursor.fetchone()[0]
    assert AuditEvent.objects.get().transaction_id == current
