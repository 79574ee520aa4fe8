"""The forms of identifiers (CON-1, CON-2). They name files, so they are a security boundary. Pure."""

import re
import secrets

_ISSUED_FORM = r"sess_[0-9a-f]{16}"
_UUID_FORM = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# Regular expressions without anchors, for whoever builds a larger one; none of them admits a line break.
SESSION_FORM = rf"(?:{_ISSUED_FORM}|{_UUID_FORM})"
UUID4_FORM = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
ACTOR_FORM = r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}"

# \Z and re.ASCII: `$` would let a trailing newline pass and \d would let foreign digits pass into a path.
_ISSUED = re.compile(rf"{_ISSUED_FORM}\Z", re.ASCII)
_UUID = re.compile(rf"{_UUID_FORM}\Z", re.ASCII)
_SESSION = re.compile(rf"{SESSION_FORM}\Z", re.ASCII)
_UUID4 = re.compile(rf"{UUID4_FORM}\Z", re.ASCII)
_ACTOR = re.compile(rf"{ACTOR_FORM}\Z", re.ASCII)

SESSION_ID_LENGTH = 36
ACTOR_ID_LENGTH = 128


def is_issued_session_id(value: object) -> bool:
    """Whether `value` has the form of a server-issued id."""
    return isinstance(value, str) and _ISSUED.match(value) is not None


def is_canonical_uuid(value: object) -> bool:
    """Whether `value` is a UUID in canonical lower-case form, of any version."""
    return isinstance(value, str) and _UUID.match(value) is not None


def is_session_id(value: object) -> bool:
    """Whether `value` may name a session, in either form."""
    return isinstance(value, str) and _SESSION.match(value) is not None


def is_actor_id(value: object) -> bool:
    """Whether `value` may name a user, a device or a performer; it never is `.` or `..`, nor has a separator."""
    return isinstance(value, str) and _ACTOR.match(value) is not None


def is_uuid4(value: object) -> bool:
    """Whether `value` is a UUID version 4 in canonical form."""
    return isinstance(value, str) and _UUID4.match(value) is not None


def new_session_id() -> str:
    """A fresh server-issued session id: 64 random bits."""
    return f"sess_{secrets.token_hex(8)}"


def new_record_id() -> str:
    """A fresh UUID version 4."""
    bits = bytearray(secrets.token_bytes(16))
    bits[6], bits[8] = bits[6] & 0x0F | 0x40, bits[8] & 0x3F | 0x80  # RFC 9562, section 5.4
    digits = bits.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
