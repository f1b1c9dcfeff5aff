from django.db import migrations, models


class Migration(migrations.Migration):
    """The list of spans finds a rare tool or agent as quickly as a busy one."""

    dependencies = [("telemetry", "0010_span_export_place")]
    operations = [
        migrations.AddIndex("span", models.Index(fields=["tool_name", "-start_time"], name="span_tool")),
        migrations.AddIndex("span", models.Index(fields=["agent", "-start_time"], name="span_agent")),
    ]
