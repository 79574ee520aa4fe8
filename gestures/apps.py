"""At start: replay learns to compare captures (SES-58)."""

from django.apps import AppConfig


class GesturesConfig(AppConfig):
    """The app of the captures."""

    name = "gestures"

    def ready(self) -> None:
        """Register with the spine."""
        from gestures import verification

        verification.register()
