"""States say themselves that their session has ended."""

from typing import Any

from django.db import migrations, models


def seal(apps: Any, schema_editor: Any) -> None:
    """The states of sessions that have ended already."""
    apps.get_model("sessions_app", "State").objects.filter(session__status="closed").update(is_sealed=True)


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0003_writer")]

    operations = [
        migrations.AddField("state", "is_sealed", models.BooleanField(db_default=False)),
        migrations.RunPython(seal, migrations.RunPython.noop),
    ]
