"""Calls depend on how strict guardrails are, and on the detectors that are asked."""

from django.db import migrations

WATCHED = ("telemetry_guardrailsettings", "telemetry_remotedetector")


def _trigger(table: str) -> migrations.RunSQL:
    forwards = (
        f"CREATE TRIGGER {table}_snapshot AFTER INSERT OR DELETE OR UPDATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION tools_count_snapshot();"
    )
    return migrations.RunSQL(forwards, f"DROP TRIGGER {table}_snapshot ON {table};")


class Migration(migrations.Migration):
    dependencies = [("tools", "0013_what_comes_in_and_goes_out"), ("telemetry", "0012_sessions_and_guardrails")]
    operations = [_trigger(table) for table in WATCHED]
