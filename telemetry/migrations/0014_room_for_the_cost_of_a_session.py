from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("telemetry", "0013_reports"),
    ]

    operations = [
        # More digits before the point only: no row is written again.
        migrations.AlterField(
            model_name="session",
            name="total_cost_est",
            field=models.DecimalField(decimal_places=8, default=0, max_digits=20),
        ),
    ]
