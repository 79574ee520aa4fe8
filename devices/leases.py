"""Presence as Redis holds it: one lease per (session, device), held by a connection (DEV-27, DEV-32).

    baton:presence:<session>    hash: device to "<connection> <last seen, ms> <reason> <what it says of itself, JSON>"
    baton:leases                zset: "<session> <device>" by the end of the lease, ms
    baton:connections:<user>    zset: connection by the end of its lease, ms

The reason is what DEVICE_LEFT will say if nobody renews: `timeout`, or `lost` during the grace after a lost socket.
Every change compares the holder's connection_id first, so a late farewell of an old socket changes nothing.
"""

import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import orjson

from sessions_app import clock, redisdoor
from sessions_app.sockets.connection import Connection

LEASES: Final = "baton:leases"
GENERATION: Final = "baton:generation"

# Once: now, end, most per user. For each: session key, user key, device, connection, description, member of LEASES.
_TAKE = """
local now, till, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local function take(presence, connections, device, connection, says, member)
  redis.call('ZREMRANGEBYSCORE', connections, '-inf', now)
  local held = redis.call('HGET', presence, device)
  local before = held and string.match(held, '^%S+') or ''
  if before ~= '' then redis.call('ZREM', connections, before) end
  if redis.call('ZCARD', connections) >= most then
    if before ~= '' then redis.call('ZADD', connections, till, before) end
    return {'full', ''}
  end
  local ends = tonumber(redis.call('ZSCORE', KEYS[1], member) or '0')
  redis.call('HSET', presence, device, connection .. ' ' .. now .. ' timeout ' .. says)
  redis.call('ZADD', KEYS[1], till, member)
  redis.call('ZADD', connections, till, connection)
  if before == '' then return {'new', ''} end
  if ends <= now then return {'expired', string.match(held, '^%S+ %S+ (%S+)')} end
  return {'taken', before}
end
local taken = {}
for i = 4, #ARGV, 4 do
  local n = (i - 4) / 2
  taken[#taken + 1] = take(KEYS[n + 2], KEYS[n + 3], unpack(ARGV, i, i + 3))
end
return taken
"""

# For each lease: session key, user key, device, connection, last seen, end, description, member of LEASES.
_RENEW = """
local lost, made = {}, {}
for i = 1, #ARGV, 6 do
  local n = (i - 1) / 6 * 2
  local presence, connections = KEYS[n + 2], KEYS[n + 3]
  local device, connection, seen, till, says, member = unpack(ARGV, i, i + 5)
  local held = redis.call('HGET', presence, device)
  if held and string.match(held, '^%S+') ~= connection then
    lost[#lost + 1] = connection
  else
    if not held then made[#made + 1] = connection end
    redis.call('HSET', presence, device, connection .. ' ' .. seen .. ' timeout ' .. says)
    redis.call('ZADD', KEYS[1], till, member)
    redis.call('ZADD', connections, till, connection)
  end
end
return {lost, made}
"""

_END = """
local held = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[2])
if not held or string.match(held, '^%S+') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[3])
return 1
"""

_GRACE = """
local held = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[2])
if not held then return 0 end
local connection, seen, says = string.match(held, '^(%S+) (%S+) %S+ (.*)$')
if connection ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], connection .. ' ' .. seen .. ' lost ' .. says)
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
return 1
"""

_CLAIM = """
local ends = redis.call('ZSCORE', KEYS[2], ARGV[3])
if not ends or tonumber(ends) > tonumber(ARGV[2]) then return '' end
local held = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[3])
redis.call('HDEL', KEYS[1], ARGV[1])
return held and string.match(held, '^%S+ %S+ (%S+)') or ''
"""

_FORGET = """
local held = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[2])
return held or ''
"""


class Holder(NamedTuple):
    """Who holds a lease: one connection of one device in one session."""

    session_id: str
    user_id: str
    device_id: str
    connection_id: str

    @classmethod
    def of(cls, one: Connection) -> "Holder":
        """The connection as a holder."""
        return cls(one.session_id, one.user_id, one.device_id, one.connection_id)


class Lease(NamedTuple):
    """A lease as it stands; `last_seen` in Unix seconds."""

    device_id: str
    connection_id: str
    last_seen: float
    says: dict[str, Any]
    is_connected: bool = True  # not so during the grace after a lost socket

    @classmethod
    def of(cls, one: Connection) -> "Lease":
        """The lease of a connection of this process, as fresh as it is."""
        silent_s = time.monotonic() - one.heard_at  # which is the clock of the loop
        return cls(one.device_id, one.connection_id, clock.now().timestamp() - silent_s, one.info)


class Taken(NamedTuple):
    """What taking a lease met: `new`, `taken` from connection `before`, `expired` for the reason `before`, `full`."""

    outcome: str
    before: str


class Renewed(NamedTuple):
    """Connections whose lease another one holds, and those whose lease was gone and had to be made anew."""

    lost: list[str]
    made: list[str]


def take(asked: Sequence[tuple[Holder, dict[str, Any]]], *, at: float, until: float, most: int) -> list[Taken]:
    """Make each holder the one live connection of its device, one after the other. Raises RedisUnavailable."""
    keys: list[str] = [LEASES]
    arguments: list[str | int | bytes] = [_ms(at), _ms(until), most]
    for holder, says in asked:
        presence, _, connections = _keys(holder)
        keys += [presence, connections]
        arguments += [holder.device_id, holder.connection_id, orjson.dumps(says), _member(holder)]
    taken = redisdoor.run(_TAKE, keys, arguments) if asked else ()
    return [Taken(outcome.decode(), before.decode()) for outcome, before in taken]


def renew(held: Iterable[tuple[Holder, dict[str, Any], float]], *, ttl_s: float) -> Renewed:
    """Let leases last `ttl_s` from each one's last sign of life, in Unix seconds. Raises RedisUnavailable."""
    keys, arguments = [LEASES], []
    for holder, says, seen in held:
        presence, _, connections = _keys(holder)
        keys += [presence, connections]
        arguments += [holder.device_id, holder.connection_id, _ms(seen), _ms(seen + ttl_s), orjson.dumps(says)]
        arguments.append(_member(holder))
    lost, made = redisdoor.run(_RENEW, keys, arguments) if arguments else ((), ())
    return Renewed([one.decode() for one in lost], [one.decode() for one in made])


def end(holder: Holder) -> bool:
    """Give the lease back; whether `holder` still had it. Raises RedisUnavailable."""
    return bool(redisdoor.run(_END, _keys(holder), [holder.device_id, holder.connection_id, _member(holder)]))


def grace(holder: Holder, *, until: float) -> bool:
    """Let the lease of a lost socket last until then; whether `holder` still had it. Raises RedisUnavailable."""
    arguments = [holder.device_id, holder.connection_id, _member(holder), _ms(until)]
    return bool(redisdoor.run(_GRACE, _keys(holder), arguments))


def claim(session_id: str, device_id: str, *, at: float) -> str | None:
    """End a lease that has run out, for exactly one caller; the reason for it, None for all others.

    Raises RedisUnavailable.
    """
    member = f"{session_id} {device_id}"
    reason = redisdoor.run(_CLAIM, [_presence(session_id), LEASES], [device_id, _ms(at), member])
    return reason.decode() or None


def forget(session_id: str, device_id: str) -> Lease | None:
    """End a lease whoever holds it; what it was. Raises RedisUnavailable."""
    held = redisdoor.run(_FORGET, [_presence(session_id), LEASES], [device_id, f"{session_id} {device_id}"])
    return _lease(device_id, held) if held else None


def due(*, at: float, most: int) -> list[tuple[str, str]]:
    """Sessions and devices whose lease has run out. Raises RedisUnavailable."""
    found = redisdoor.call("zrangebyscore", LEASES, "-inf", _ms(at), start=0, num=most)
    return [tuple(member.decode().split(" ", 1)) for member in found]


def of_session(session_id: str) -> list[Lease]:
    """The leases of a session. Raises RedisUnavailable."""
    return [_lease(device.decode(), held) for device, held in redisdoor.call("hgetall", _presence(session_id)).items()]


def generation() -> str:
    """A name that changes when Redis loses its memory. Raises RedisUnavailable."""
    redisdoor.call("set", GENERATION, secrets.token_hex(8), nx=True)
    return str((redisdoor.call("get", GENERATION) or b"").decode())


def _lease(device_id: str, held: bytes) -> Lease:
    connection_id, seen, reason, says = held.split(b" ", 3)
    return Lease(device_id, connection_id.decode(), int(seen) / 1000, orjson.loads(says), reason == b"timeout")


def _keys(holder: Holder) -> list[str]:
    return [_presence(holder.session_id), LEASES, f"baton:connections:{holder.user_id}"]


def _presence(session_id: str) -> str:
    return f"baton:presence:{session_id}"


def _member(holder: Holder) -> str:
    return f"{holder.session_id} {holder.device_id}"


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
