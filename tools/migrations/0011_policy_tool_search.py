"""A policy may have its tools found by words over MCP, instead of listed. Off for those there are."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tools", "0010_own_names_reserved")]
    operations = [
        migrations.AddField(
            model_name="policy",
            name="tool_search",
            field=models.BooleanField(
                default=False,
                help_text="Over MCP, agents find tools by words instead of being listed all, e.g. for a catalogue of "
                "300 tools, which would fill a model's context. What may be called stays the same.",
            ),
        ),
    ]
