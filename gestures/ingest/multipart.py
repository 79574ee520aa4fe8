"""A multipart/form-data body cut into parts as it streams (GES-24): in memory, one part at a time, nothing spooled."""

from collections import deque
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

MOST_HEADER_BYTES = 4096  # of one part


class Malformed(Exception):
    """The body is not what its Content-Type says."""


@dataclass(frozen=True, slots=True)
class Begin:
    """A part's headers have been read."""

    name: str
    content_type: str | None


@dataclass(frozen=True, slots=True)
class Data:
    """Some bytes of the part."""

    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The part is whole."""


Piece = Begin | Data | End


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a multipart/form-data body; None for another media type. Raises Malformed without a boundary."""
    media_type, options = parse_options_header(content_type)
    if media_type.lower() != b"multipart/form-data":
        return None
    if not options.get(b"boundary"):
        raise Malformed("no boundary")
    return options[b"boundary"]


class Cutter:
    """Cuts one body. `is_done` once the closing boundary has been read."""

    def __init__(self, boundary: bytes) -> None:
        self.is_done = False
        self._pieces: deque[Piece] = deque()
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value, self._header_bytes = b"", b"", 0
        callbacks = {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": lambda data, start, end: self._pieces.append(Data(data[start:end])),
            "on_part_end": lambda: self._pieces.append(End()),
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]  # some take no data
        except FormParserError as error:
            raise Malformed(str(error)) from error

    def feed(self, data: bytes) -> deque[Piece]:
        """The pieces that are now complete, handed over. Raises Malformed."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise Malformed(str(error)) from error
        pieces, self._pieces = self._pieces, deque()
        return pieces

    def _on_part_begin(self) -> None:
        self._headers, self._header_bytes = {}, 0

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._bound(end - start)

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._bound(end - start)

    def _on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _on_headers_finished(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if disposition != b"form-data" or b"name" not in options:
            raise Malformed("a part without a name")
        content_type = self._headers.get(b"content-type")
        media_type = parse_options_header(content_type)[0].decode("latin-1") if content_type is not None else None
        self._pieces.append(Begin(options[b"name"].decode("latin-1"), media_type))

    def _on_end(self) -> None:
        self.is_done = True

    def _bound(self, more: int) -> None:
        self._header_bytes += more
        if self._header_bytes > MOST_HEADER_BYTES:
            raise Malformed(f"a part has more than {MOST_HEADER_BYTES} bytes of headers")
