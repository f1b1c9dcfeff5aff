"""A change of the snapshot is told to whoever listens, once its transaction commits; many in one are told once."""

from django.db import migrations

COUNTS = """
CREATE OR REPLACE FUNCTION tools_count_snapshot() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tools_snapshotversion (id, version) VALUES (1, nextval('tools_snapshot_sequence'))
        ON CONFLICT (id) DO UPDATE SET version = nextval('tools_snapshot_sequence');
    {tell}
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("tools", "0007_snapshot_watches_upstreams")]
    operations = [
        migrations.RunSQL(
            COUNTS.format(tell="PERFORM pg_notify('observatory_snapshot', '');"),
            COUNTS.format(tell=""),
        )
    ]
