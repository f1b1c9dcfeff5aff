from django.db import migrations, models


class Migration(migrations.Migration):
    """Minutes with late spans are only added to: recorders of spans wait for nobody. No release had the former table."""

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
    ]
