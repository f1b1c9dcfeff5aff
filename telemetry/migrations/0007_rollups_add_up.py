from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models


def histogram_columns(model: str) -> list[migrations.operations.base.Operation]:
    return [
        migrations.RemoveField(model, "durations"),
        migrations.AddField(model, "buckets", ArrayField(models.SmallIntegerField(), default=list, size=None)),
        migrations.AddField(model, "bucket_spans", ArrayField(models.IntegerField(), default=list, size=None)),
        migrations.AddField(
            model,
            "first_at",
            models.DateTimeField(default=None, help_text="When the first of these spans began."),
            preserve_default=False,
        ),
    ]


class Migration(migrations.Migration):
    """Minutes with late spans are only added to; histograms are arrays. Nothing was ever written to these tables."""

    dependencies = [("telemetry", "0006_alert_transitions_append_only")]
    operations = [
        migrations.DeleteModel("StaleMinute"),
        migrations.CreateModel(
            name="StaleMinute",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("minute", models.DateTimeField()),
            ],
            options={"default_permissions": ()},
        ),
        *histogram_columns("minuterollup"),
        *histogram_columns("hourrollup"),
    ]
