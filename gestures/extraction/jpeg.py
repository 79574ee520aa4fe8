"""What the header of a JPEG says (GES-35): enough to refuse a picture before one of its pixels is decoded. Pure."""

from collections.abc import Iterator

START, END = b"\xff\xd8", b"\xff\xd9"
_SCAN = 0xDA
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length: TEM and the restarts
_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15; the three are DHT, JPG and DAC


def size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the frame header (ITU-T T.81, B.2.2).

    Raises ValueError unless `data` begins as a JPEG, has one frame header and then a scan, and ends after it.
    """
    found = None
    for marker, at in _segments(data):
        if marker in _FRAME_HEADERS:
            found = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 3 : at + 5], "big")
        if marker == _SCAN:
            if found is None or data.rfind(END) < at:
                break
            return found
    raise ValueError("cut short")


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Each marker before the first scan's data, and where its segment begins (at the length)."""
    if not data.startswith(START):
        raise ValueError("no start marker")
    at = len(START)
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise ValueError("no marker where one belongs")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _ALONE:
            at += 2
        else:
            yield marker, at + 2
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
