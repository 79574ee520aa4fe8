"""The rows of routing, by subject."""

from routing.chat_models import ChatMessage
from routing.golf_models import AdviceGiven, Hole, HoleState
from routing.pod_models import Pod, PodTransition, Worker

__all__ = ["AdviceGiven", "ChatMessage", "Hole", "HoleState", "Pod", "PodTransition", "Worker"]
