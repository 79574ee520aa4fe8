"""The feature layout `holistic_landmarks_v1` (GES-40 to GES-43): which landmark stands in which column. Pure.

A frame is one row of 214 values: 107 landmarks, each x then y, as fractions of the picture (x right, y down).
"""

from collections.abc import Sequence

POSE_LANDMARKS = 33
HAND_LANDMARKS = 21
FACE_LANDMARKS = 478  # MediaPipe's refined face mesh; the layout keeps 32 of them

# Indices into the face mesh, in column order (GES-40).
IRISES = (468, 469, 470, 471, 472, 473, 474, 475)
EYES = (33, 133, 159, 145, 263, 362, 386, 374)
BROWS = (70, 63, 105, 336, 296, 334)
NOSE = (1, 6, 197)
MOUTH = (61, 291, 13, 14, 78, 308)
CHIN = (199,)
FACE_ORDER = IRISES + EYES + BROWS + NOSE + MOUTH + CHIN

# First landmark and number of landmarks of each group that is detected, or missing, as a whole (GES-41).
GROUPS = {
    "pose": (0, POSE_LANDMARKS),
    "left_hand": (33, HAND_LANDMARKS),
    "right_hand": (54, HAND_LANDMARKS),
    "face": (75, len(FACE_ORDER)),
}
DIMS = 2 * sum(count for _, count in GROUPS.values())

HOLISTIC = "holistic_landmarks_v1"
FAKE = "fake_landmarks_v1"

Points = Sequence[tuple[float, float]]


def row(pose: Points | None, left_hand: Points | None, right_hand: Points | None, face: Points | None) -> list[float]:
    """One frame as DIMS values in column order. Each group is its (x, y) points in MediaPipe's order, or None.

    An undetected group is 0.0 in all its columns. Raises ValueError when a group has another number of points.
    """
    chosen = None if face is None else [_checked(face, FACE_LANDMARKS)[index] for index in FACE_ORDER]
    groups = zip(GROUPS.values(), (pose, left_hand, right_hand, chosen), strict=True)
    return [value for (_, count), points in groups for value in _flat(points, count)]


def columns(group: str) -> slice:
    """The columns of one group of GROUPS."""
    first, count = GROUPS[group]
    return slice(2 * first, 2 * (first + count))


def _flat(points: Points | None, count: int) -> list[float]:
    if points is None:
        return [0.0] * (2 * count)
    return [value for point in _checked(points, count) for value in point]


def _checked(points: Points, count: int) -> Points:
    if len(points) != count:
        raise ValueError(f"{len(points)} landmarks, expected {count}")
    return points
