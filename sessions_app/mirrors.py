"""Rows as staff see them: to look at, never to change (OPS-40). The log and the verbs are what change them."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest


class ReadOnly:
    """Takes every right but that to view from a page of the admin."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


class Mirror(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker alone
    """A list and a page for each row, without a second count of all rows."""

    show_full_result_count = False


class MirrorInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    """Rows that belong to another one, on its page."""
