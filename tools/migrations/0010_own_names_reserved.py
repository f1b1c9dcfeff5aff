"""Names that begin with observatory. are of the MCP door's own tools; nobody's tool stands in for one of them."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tools", "0009_own_names_set_aside")]
    operations = [
        migrations.AlterField(
            model_name="tool",
            name="name",
            field=models.CharField(
                help_text="How agents call it, e.g. crm.find_order. The endings _propose and _commit are reserved, "
                "and so is the beginning observatory.",
                max_length=56,
                unique=True,
                validators=[django.core.validators.RegexValidator("^[a-z0-9_.-]{1,56}$", "1 to 56 of: a-z 0-9 _ . -")],
            ),
        ),
        migrations.AddConstraint(
            model_name="tool",
            constraint=models.CheckConstraint(
                condition=models.Q(("name__startswith", "observatory."), _negated=True), name="tool_name_not_our_own"
            ),
        ),
    ]
