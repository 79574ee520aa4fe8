"""Python's garbage collector in processes that serve."""

import gc
from typing import Final

THRESHOLDS: Final = (50_000, 20, 100)  # with the start-up's objects frozen, full collections become rare pauses


def spare_the_collector() -> None:
    """What is loaded by now stays: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
