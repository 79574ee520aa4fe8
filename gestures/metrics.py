"""What captures count for Prometheus (OPS-32); no id is a label."""

from prometheus_client import Counter, Histogram

CAPTURES = Counter("baton_captures", "Captures by how they ended: completed, or their error code.", ["outcome"])
FRAMES = Counter("baton_capture_frames", "Frames of completed captures.")
DRAIN_SECONDS = Histogram("baton_capture_drain_seconds", "From a capture's close until it is stored.")
