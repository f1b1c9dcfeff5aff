from django.db import migrations

from telemetry.append_only import refuse_changes_sql

FORWARDS, BACKWARDS = refuse_changes_sql("approvals_vote")


class Migration(migrations.Migration):
    dependencies = [("approvals", "0001_pending_actions")]
    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
