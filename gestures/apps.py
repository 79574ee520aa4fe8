"""At start: replay learns to compare captures (SES-58), and a leaving process to wait for them (GES-39)."""

from django.apps import AppConfig


class GesturesConfig(AppConfig):
    """The app of the captures."""

    name = "gestures"

    def ready(self) -> None:
        """Register with the spine."""
        from gestures import verification
        from gestures.ingest import running
        from sessions_app import drain

        verification.register()
        drain.wait_for(running.is_busy)
