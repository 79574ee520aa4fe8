"""The real library on a real portrait (GES-35 to GES-37, GES-40 to GES-42, GES-80); few and short."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from django.conf import settings

from gestures import landmarks, layout
from gestures.extraction import framing
from gestures.extraction.framing import Kind
from tests.captures import make_jpeg

PORTRAIT = Path(sys.prefix, "lib", f"python3.{sys.version_info[1]}", "site-packages/matplotlib/mpl-data/sample_data")
SIZE = (360, 480)


def portraits(count, size=SIZE):
    """The portrait, zoomed in a little further in each picture, so that the landmarks move."""
    picture = cv2.imread(str(PORTRAIT / "grace_hopper.jpg"))
    height, width = picture.shape[:2]
    found = []
    for number in range(count):
        part = picture[8 * number : height - 8 * number, 6 * number : width - 6 * number]
        found.append(cv2.imencode(".jpg", cv2.resize(part, size))[1].tobytes())
    return found


def in_a_worker(*captures):
    """The rows of each capture, from one process for all."""
    command = [sys.executable, "-B", "-m", "gestures.worker", "--backend", "holistic"]
    opening = framing.pack(Kind.OPEN, framing.document(width=SIZE[0], height=SIZE[1]))
    frames = [b"".join(framing.pack(Kind.FRAME, jpeg) for jpeg in jpegs) for jpegs in captures]
    found: list[list[np.ndarray]] = [[]]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=settings.BASE_DIR) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"".join(opening + one + framing.pack(Kind.CLOSE) for one in frames))
        process.stdin.flush()
        unpacker = framing.Unpacker()
        while len(found) <= len(captures):
            for kind, payload in unpacker.feed(os.read(process.stdout.fileno(), 65536)):
                if kind is Kind.ROW:
                    found[-1].append(np.frombuffer(payload, "<f4"))
                elif kind is Kind.DONE:
                    found.append([])
        process.stdin.close()
    return [np.stack(rows) for rows in found[:-1]]


@pytest.fixture(scope="module")
def rows():
    """Four captures: the same frames twice in one worker, once in another, and there a picture with nobody."""
    jpegs = portraits(4)
    return [*in_a_worker(jpegs, jpegs), *in_a_worker(jpegs, [landmarks.blank_jpeg(*SIZE)])]


def test_equal_frames_give_equal_rows(rows):
    """GES-30, GES-80: a fresh graph for each capture, in whichever process."""
    first, second, elsewhere, _ = rows
    assert first.tobytes() == second.tobytes() == elsewhere.tobytes()
    assert (first.shape, first.dtype) == ((4, 214), np.float32)


def test_a_portrait_has_a_pose_and_a_face_and_no_hands(rows):
    """GES-40, GES-41: undetected hands are zeros; what is found lies in the picture, right side up, and moves."""
    row = rows[0][0]
    assert (row[layout.columns("left_hand")] == 0).all()
    assert (row[layout.columns("right_hand")] == 0).all()
    nose, chin = row[194:196], row[212:214]
    assert (row[layout.columns("face")] > 0).all()
    assert nose[1] < chin[1] < 1
    assert abs(row[0] - nose[0]) < 0.1  # pose 0 is the nose as well
    assert np.abs(rows[0][3] - row).max() > 0.01


def test_the_persons_own_left_is_right_in_the_picture(rows):
    """GES-42: unmirrored; pose 11 is the left shoulder, 12 the right one, column 2i is x."""
    assert rows[0][0][22] > rows[0][0][24]


def independent_rows(jpegs):
    """The library's own answers, with the documented indices written out here."""
    from mediapipe.python.solutions.holistic import Holistic

    face = [468, 469, 470, 471, 472, 473, 474, 475, 33, 133, 159, 145, 263, 362, 386, 374, 70, 63, 105, 336, 296, 334,
            1, 6, 197, 61, 291, 13, 14, 78, 308, 199]  # fmt: skip
    rows = []
    with Holistic(model_complexity=1, smooth_landmarks=True, refine_face_landmarks=True) as holistic:
        for jpeg in jpegs:
            pixels = cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            found = holistic.process(pixels)
            points = [*found.pose_landmarks.landmark, *[SimpleNamespace(x=0, y=0)] * 42]
            points += [found.face_landmarks.landmark[index] for index in face]
            rows.append([value for point in points for value in (point.x, point.y)])
    return np.array(rows, dtype="<f4")


def test_rows_equal_an_independent_run_of_the_library(rows):
    """GES-37, GES-40: column by column."""
    assert (rows[0] == independent_rows(portraits(4))).all()


def test_the_librarys_groups_and_options_are_the_contracts(monkeypatch):
    """GES-37, GES-40, GES-42: no picture at hand shows hands, so a stand-in tells left from right; input is RGB."""
    asked, seen = {}, []

    def group(count, x):
        return SimpleNamespace(landmark=[SimpleNamespace(x=x, y=x + 1)] * count)

    class Holistic:
        def __init__(self, **options):
            asked.update(options)

        def process(self, pixels):
            seen.append(pixels[0, 0].tolist())
            return SimpleNamespace(
                pose_landmarks=None, face_landmarks=group(478, 7), left_hand_landmarks=group(21, 3),
                right_hand_landmarks=group(21, 5),
            )  # fmt: skip

    monkeypatch.setattr(landmarks, "_import_holistic", lambda: SimpleNamespace(Holistic=Holistic))
    red = cv2.imencode(".jpg", np.full((64, 64, 3), (0, 0, 255), np.uint8))[1].tobytes()
    row = np.frombuffer(landmarks.HolisticGraph().row(red, 64, 64), "<f4")
    groups = {name: set(row[layout.columns(name)].tolist()) for name in layout.GROUPS}
    assert groups == {"pose": {0.0}, "left_hand": {3.0, 4.0}, "right_hand": {5.0, 6.0}, "face": {7.0, 8.0}}
    assert seen[0][0] > 250 > 5 > seen[0][2]
    assert asked == {
        "static_image_mode": False, "model_complexity": 1, "smooth_landmarks": True, "refine_face_landmarks": True,
        "min_detection_confidence": 0.5, "min_tracking_confidence": 0.5,
    }  # fmt: skip


def test_a_picture_with_nobody_is_a_row_of_zeros(rows):
    """GES-41: also after a capture that showed somebody."""
    assert (rows[3] == np.zeros((1, 214))).all()


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        (make_jpeg(size=(64, 65)), "frame_size_mismatch"),
        (b"GIF89a", "frame_decode_failed"),
        (make_jpeg()[:500] + b"\xff\xd9", "frame_decode_failed"),
    ],
)
def test_the_header_is_read_before_a_pixel(picture, code, monkeypatch):
    """GES-35."""
    if code == "frame_size_mismatch":
        monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(landmarks.FrameRefused) as refused:
        landmarks.decode(picture, 64, 64)
    assert refused.value.error_code == code


def test_rotation_by_metadata_is_not_applied():
    """GES-35: the picture is what its header says; phones like to rotate by EXIF."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    assert landmarks.decode(make_jpeg(size=(80, 64), exif=exif), 80, 64).shape == (64, 80, 3)


def test_the_libraries_are_not_imported_at_djangos_start():
    """GES-36, GES-73: the product boots where they are missing."""
    code = "import django; django.setup(); import config.asgi, sys; print({'cv2', 'mediapipe'} & set(sys.modules))"
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=settings.BASE_DIR, capture_output=True, text=True, check=False, env=env
    )
    assert done.stdout.strip().splitlines()[-1] == "set()", done.stderr
