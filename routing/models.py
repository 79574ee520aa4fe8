"""The rows of routing, by subject."""

from routing.golf_models import AdviceGiven, Hole, HoleState

__all__ = ["AdviceGiven", "Hole", "HoleState"]
