"""A tool that has a name of ours is switched off and renamed, so that policies which name it allow nothing by it.

Its stored secret opens no more, for it is bound to the name: it is declared anew under another one.
"""

from typing import Any

from django.db import migrations

PREFIX, SET_ASIDE, LONGEST = "observatory.", "was-observatory.", 56


def set_aside(apps: Any, schema_editor: Any) -> None:
    tools = apps.get_model("tools", "Tool").objects
    for tool in tools.filter(name__startswith=PREFIX):
        name = (SET_ASIDE + tool.name.removeprefix(PREFIX))[:LONGEST]
        tools.filter(pk=tool.pk).update(name=name, enabled=False)


class Migration(migrations.Migration):
    dependencies = [("tools", "0008_snapshot_tells")]
    operations = [migrations.RunPython(set_aside, migrations.RunPython.noop)]
