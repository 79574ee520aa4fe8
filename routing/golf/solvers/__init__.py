"""The reference putt solver and shot planner (ADV-81 to ADV-102): the whole loop runs on one laptop."""
