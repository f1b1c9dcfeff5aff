from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("approvals", "0005_notices")]
    operations = [
        migrations.AlterModelOptions(
            name="pendingaction",
            options={
                "default_permissions": ("view",),
                "ordering": ["-created_at"],
                "permissions": [
                    ("decide_pendingaction", "Can approve and reject pending actions"),
                    ("resolve_pendingaction", "Can settle actions whose outcome is unknown"),
                ],
            },
        ),
    ]
