from django.db import migrations

from telemetry.append_only import refuse_changes_sql

FORWARDS, BACKWARDS = refuse_changes_sql("telemetry_auditevent")


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0001_spans_events_payloads")]
    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
