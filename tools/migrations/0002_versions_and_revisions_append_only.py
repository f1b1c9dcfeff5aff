from django.db import migrations

from telemetry.append_only import refuse_changes_sql

VERSIONS = refuse_changes_sql("tools_toolversion")
REVISIONS = refuse_changes_sql("tools_policyrevision")


class Migration(migrations.Migration):
    dependencies = [("tools", "0001_agents_tools_policies")]
    operations = [migrations.RunSQL(*VERSIONS), migrations.RunSQL(*REVISIONS)]
