"""The composition root as a Django app: it registers the checks and makes the roots."""

import structlog
from django.apps import AppConfig

log = structlog.get_logger(__name__)


class ConfigApp(AppConfig):
    name = "config"

    def ready(self) -> None:
        """A root that cannot be made is reported by /readyz and `check`, and does not stop the boot (SES-63)."""
        from config import checks  # noqa: F401  # registers itself
        from sessions_app import paths

        try:
            paths.make_roots()
        except OSError as error:
            log.error("roots.not_made", error=str(error))
