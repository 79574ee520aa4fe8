"""Who wrote versions that the operation log no longer holds."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0002_state_storage")]

    operations = [
        migrations.CreateModel(
            name="Writer",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "session_id", "device_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("session_id", models.CharField(max_length=36)),
                ("device_id", models.CharField(max_length=128)),
                ("written_at", models.DateTimeField(db_index=True)),
            ],
        ),
    ]
