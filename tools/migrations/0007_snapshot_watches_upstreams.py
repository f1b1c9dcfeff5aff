"""Calls depend on upstreams, their credentials and what was accepted of them; not on when they were last seen."""

from django.db import migrations

WATCHED = {
    "tools_upstream": "",
    "tools_upstreamcredential": "",
    "tools_upstreamtool": "OF status, tool_id, upstream_name",
}


def _trigger(table: str, columns: str) -> migrations.RunSQL:
    forwards = (
        f"CREATE TRIGGER {table}_snapshot AFTER INSERT OR DELETE OR UPDATE {columns} ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION tools_count_snapshot();"
    )
    return migrations.RunSQL(forwards, f"DROP TRIGGER {table}_snapshot ON {table};")


class Migration(migrations.Migration):
    dependencies = [("tools", "0006_upstreams")]
    operations = [_trigger(table, columns) for table, columns in WATCHED.items()]
