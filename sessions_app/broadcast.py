"""Door to everything that is told to others after a commit."""

from sessions_app.models import Session


def session_started(session: Session) -> None:
    """Tell the admin channel, once the transaction has committed."""


def session_ended(session: Session) -> None:
    """Tell the session's connections and captures, once the transaction has committed (DEV-26, SES-21)."""
