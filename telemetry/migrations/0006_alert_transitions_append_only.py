from django.db import migrations

from telemetry.append_only import refuse_changes_sql

FORWARDS, BACKWARDS = refuse_changes_sql("telemetry_alerttransition")


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0005_what_happened")]
    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
