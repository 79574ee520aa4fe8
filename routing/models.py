"""The rows of routing, by subject."""

from routing.golf.golf_models import AdviceGiven, Hole, HoleState
from routing.pod.chat_models import ChatMessage
from routing.pod.pod_models import Pod, PodTransition, Worker

__all__ = ["AdviceGiven", "ChatMessage", "Hole", "HoleState", "Pod", "PodTransition", "Worker"]
