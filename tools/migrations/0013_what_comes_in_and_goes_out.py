from django.db import migrations, models


class Migration(migrations.Migration):
    """What comes in by a tool, and whether something goes out: nobody has said so yet of those that are there."""

    dependencies = [
        ("tools", "0012_access_subjects"),
    ]

    operations = [
        migrations.AddField(
            model_name="tool",
            name="brings_private_data",
            field=models.CharField(
                choices=[("no", "No"), ("yes", "Yes"), ("undeclared", "Not declared (counts as yes)")],
                db_default="undeclared",
                default="undeclared",
                help_text="Its answers hold what must not get out. A session is then labelled private_data.",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="tool",
            name="brings_untrusted_text",
            field=models.CharField(
                choices=[("no", "No"), ("yes", "Yes"), ("undeclared", "Not declared (counts as yes)")],
                db_default="undeclared",
                default="undeclared",
                help_text="Its answers hold what strangers wrote: web pages, mail, tickets. A session is then labelled untrusted_text.",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="tool",
            name="sends_outside",
            field=models.CharField(
                choices=[("no", "No"), ("yes", "Yes"), ("undeclared", "Not declared (counts as yes)")],
                db_default="undeclared",
                default="undeclared",
                help_text="Its arguments reach somebody outside: a message, a public page, a foreign API.",
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            model_name="tool",
            constraint=models.CheckConstraint(
                condition=models.Q(("brings_untrusted_text__in", ["no", "yes", "undeclared"])),
                name="tool_brings_untrusted_text_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="tool",
            constraint=models.CheckConstraint(
                condition=models.Q(("brings_private_data__in", ["no", "yes", "undeclared"])),
                name="tool_brings_private_data_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="tool",
            constraint=models.CheckConstraint(
                condition=models.Q(("sends_outside__in", ["no", "yes", "undeclared"])), name="tool_sends_outside_known"
            ),
        ),
    ]
