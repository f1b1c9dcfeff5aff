"""The snapshot's version counts up with every change of what it holds, whoever makes it and however."""

from django.conf import settings
from django.db import migrations

# Each table, and for updates the columns that matter: using a key, or logging in, changes nothing that calls depend on.
WATCHED = {
    "tools_agent": "",
    "tools_agentkey": "OF agent_id, owner_id, policy_id, scopes, rate, expires_at, revoked_at, digest, public_id",
    "tools_tool": "",
    "tools_httpendpoint": "",
    "tools_policy": "",
    "tools_killswitch": "",
    "auth_user": "OF username, is_active",
}

FUNCTION = """
CREATE SEQUENCE tools_snapshot_sequence;
CREATE FUNCTION tools_count_snapshot() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tools_snapshotversion (id, version) VALUES (1, nextval('tools_snapshot_sequence'))
        ON CONFLICT (id) DO UPDATE SET version = nextval('tools_snapshot_sequence');
    RETURN NULL;
END $$;
INSERT INTO tools_snapshotversion (id, version) VALUES (1, nextval('tools_snapshot_sequence'));
"""
NO_FUNCTION = """
DELETE FROM tools_snapshotversion;
DROP FUNCTION tools_count_snapshot();
DROP SEQUENCE tools_snapshot_sequence;
"""


def _trigger(table: str, columns: str) -> migrations.RunSQL:
    forwards = (
        f"CREATE TRIGGER {table}_snapshot AFTER INSERT OR DELETE OR UPDATE {columns} ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION tools_count_snapshot();"
    )
    return migrations.RunSQL(forwards, f"DROP TRIGGER {table}_snapshot ON {table};")


class Migration(migrations.Migration):
    dependencies = [
        ("tools", "0002_versions_and_revisions_append_only"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.RunSQL(FUNCTION, NO_FUNCTION),
        *[_trigger(table, columns) for table, columns in WATCHED.items()],
    ]
