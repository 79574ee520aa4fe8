"""What routing tells the spine once per process, at start."""

from django.apps import AppConfig


class RoutingApp(AppConfig):
    name = "routing"

    def ready(self) -> None:
        """Register the checks of the golf settings, and what golf adds to the clean-up of sessions."""
        from routing.golf import golf_checks, golf_cleanup  # noqa: F401  # the checks register themselves

        golf_cleanup.register()
