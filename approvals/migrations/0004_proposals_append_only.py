from django.db import migrations

from telemetry.append_only import refuse_changes_sql

TABLES = ("approvals_proposal", "approvals_committoken", "approvals_commit")


class Migration(migrations.Migration):
    dependencies = [("approvals", "0003_proposals")]
    operations = [migrations.RunSQL(*refuse_changes_sql(table)) for table in TABLES]
