"""Routing in the Django admin, by subject."""

from routing.golf import golf_admin
from routing.pod import pod_admin

__all__ = ["golf_admin", "pod_admin"]
