"""How PostgreSQL stores the rows of states."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0001_initial")]

    operations = [
        # Every write replaces the row: half-filled pages keep the new one beside the old, without touching an index.
        # Longer texts come compressed, so PostgreSQL neither tries to nor moves them out before it must.
        migrations.RunSQL(
            "ALTER TABLE sessions_app_state SET (fillfactor = 50, toast_tuple_target = 8160);"
            "ALTER TABLE sessions_app_state ALTER COLUMN data SET STORAGE EXTERNAL;",
            migrations.RunSQL.noop,
        ),
    ]
