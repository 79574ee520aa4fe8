"""What golf reads and decides once per web process, before the first request (ADV-35, ADV-40)."""

from routing.golf import datasets, hole_store


def prepare() -> None:
    """Load the greens and choose the store. Raises ImproperlyConfigured for a store that may not fall back."""
    datasets.registry()
    hole_store.current()
