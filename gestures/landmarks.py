"""Door to MediaPipe and OpenCV (GES-35 to GES-38): one JPEG becomes one row. Runs only in the extractor's workers.

Both libraries are imported when a backend is loaded, never at Django's start.
"""

import hashlib
import math
import struct
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol

from gestures import layout
from gestures.extraction import jpeg

_ROW = struct.Struct(f"<{layout.DIMS}f")


class FrameRefused(Exception):
    """This frame ends its capture; `error_code` is one of GES section 4."""

    def __init__(self, error_code: str, detail: str) -> None:
        super().__init__(detail)
        self.error_code = error_code


class Graph(Protocol):
    """The state of one capture's extraction; never shared and never used again (GES-30)."""

    def row(self, picture: bytes, width: int, height: int) -> bytes:
        """The landmarks of one JPEG: DIMS little-endian float32 values. Raises FrameRefused."""

    def close(self) -> None:
        """Free what the graph holds."""


def load(backend: str) -> Callable[[], Graph]:
    """Import what `backend` (`holistic` or `fake`) needs and give the maker of its graphs.

    Raises ImportError or OSError when a library is missing or broken.
    """
    _import_cv2()
    if backend == "fake":
        return FakeGraph
    _import_holistic()
    return HolisticGraph


def layout_name(backend: str) -> str:
    """The name of the layout in the encoding of the result (GES-38, GES-43)."""
    return layout.FAKE if backend == "fake" else layout.HOLISTIC


class HolisticGraph:
    """MediaPipe 0.10.21 legacy Holistic (GES-37). Its video mode counts frames, so event time cannot change a row."""

    def __init__(self) -> None:
        self._holistic = _import_holistic().Holistic(
            static_image_mode=False,
            model_complexity=1,  # 0 and 2 are not in the wheel and would be fetched from the network
            smooth_landmarks=True,
            refine_face_landmarks=True,
            min_detection_confidence=0.5,
            min_tracking_confidence=0.5,
        )

    def row(self, picture: bytes, width: int, height: int) -> bytes:
        pixels = decode(picture, width, height)
        found = self._holistic.process(_import_cv2().cvtColor(pixels, _import_cv2().COLOR_BGR2RGB))
        values = layout.row(
            _points(found.pose_landmarks),
            _points(found.left_hand_landmarks),
            _points(found.right_hand_landmarks),
            _points(found.face_landmarks),
        )
        if not all(map(math.isfinite, values)):
            raise FrameRefused("extractor_failed", "a landmark is not a finite number")
        return _ROW.pack(*values)

    def close(self) -> None:
        self._holistic.close()


class FakeGraph:
    """A stand-in for tests and development: the row is a digest of the JPEG (GES-38)."""

    def row(self, picture: bytes, width: int, height: int) -> bytes:
        decode(picture, width, height)
        digest = hashlib.sha256(picture).digest()
        return _ROW.pack(*(digest[column % 32] / 255 for column in range(layout.DIMS)))

    def close(self) -> None:
        return None


def decode(picture: bytes, width: int, height: int) -> Any:
    """The pixels of one JPEG: (height, width, 3) uint8, blue green red, as stored: no rotation by metadata.

    The header is compared with the announced size before a pixel is decoded. Raises FrameRefused.
    """
    cv2 = _import_cv2()
    try:
        announced = jpeg.size(picture)
    except ValueError as error:
        raise FrameRefused("frame_decode_failed", f"not a whole JPEG: {error}") from error
    if announced != (width, height):
        raise FrameRefused("frame_size_mismatch", f"{announced[0]}x{announced[1]}, announced were {width}x{height}")
    import numpy as np

    try:
        pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise FrameRefused("frame_decode_failed", "the JPEG cannot be decoded") from error
    if pixels is None or pixels.shape != (height, width, 3):
        raise FrameRefused("frame_decode_failed", "the JPEG cannot be decoded")
    return pixels


def blank_jpeg(width: int, height: int) -> bytes:
    """A picture with nothing in it."""
    import numpy as np

    return bytes(_import_cv2().imencode(".jpg", np.zeros((height, width, 3), np.uint8))[1])


def _points(landmarks: Any) -> list[tuple[float, float]] | None:
    """MediaPipe's normalised landmarks, which are fractions of the picture already; None when not detected."""
    return None if landmarks is None else [(point.x, point.y) for point in landmarks.landmark]


def _import_cv2() -> Any:
    import cv2

    return cv2


def _import_holistic() -> Any:
    # Only mediapipe's drawing helpers want pyplot; the real one costs a second and writes a font cache (GES-35).
    if "matplotlib" not in sys.modules:
        stand_in, pyplot = ModuleType("matplotlib"), ModuleType("matplotlib.pyplot")
        stand_in.pyplot = pyplot  # type: ignore[attr-defined]
        sys.modules.update({"matplotlib": stand_in, "matplotlib.pyplot": pyplot})
    from mediapipe.python.solutions import holistic

    return holistic
