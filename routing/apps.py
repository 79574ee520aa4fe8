"""What routing tells the spine once per process, at start."""

from django.apps import AppConfig


class RoutingApp(AppConfig):
    name = "routing"

    def ready(self) -> None:
        """Register the checks of the golf settings."""
        from routing import golf_checks  # noqa: F401  # registers itself
