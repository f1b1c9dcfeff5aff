"""A vote may have come by an agent's own user, over MCP. Only the words for it change."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0009_nobody_needed")]
    operations = [
        migrations.AlterField(
            model_name="vote",
            name="via",
            field=models.CharField(help_text="admin, confirm or mcp", max_length=16),
        ),
    ]
