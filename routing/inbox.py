"""Door to the Redis lists that wake pods (POD-36 to POD-38), which KEDA watches. The rows are the truth, a list tells.

`baton:queue:<session>` holds what waits, `baton:inflight:<session>` what is being done: message ids and wake marks
`wake:<generation>`. Each change of a list is one script, so that two processes never interleave. Redis 6.2 is enough.
"""

from collections.abc import Sequence

from django.conf import settings

from sessions_app import redisdoor

WORK = "baton:pods:work"  # a session with work for a worker
FOR_CHAT = " chat"  # behind the session: there is a message and nothing else
NEWS = "baton:pods:news"  # a session with news for those who wait
_QUEUE, _IN_FLIGHT = "baton:queue:", "baton:inflight:"
_SCAN_COUNT = 1000

# KEYS: queue, inflight. ARGV: ttl, channel or '', session, elements...
_PUSH = """
for i = 4, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[1])
if ARGV[2] ~= '' then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
"""

# KEYS: from, to. ARGV: element, its end of `to` (LEFT or RIGHT), ttl. An element that is not in `from` is moved
# nowhere: a list that was deleted with its session stays deleted.
_MOVE = """
local side = ARGV[2]
if redis.call('LPOS', KEYS[1], ARGV[1]) then
  redis.call('LREM', KEYS[2], 0, ARGV[1])
  if side == 'RIGHT' and redis.call('LINDEX', KEYS[1], 0) == ARGV[1] then
    redis.call('LMOVE', KEYS[1], KEYS[2], 'LEFT', 'RIGHT')
  elseif side == 'LEFT' then
    redis.call('LPUSH', KEYS[2], ARGV[1])
  else
    redis.call('RPUSH', KEYS[2], ARGV[1])
  end
  redis.call('LREM', KEYS[1], 0, ARGV[1])
  redis.call('EXPIRE', KEYS[1], ARGV[3])
  redis.call('EXPIRE', KEYS[2], ARGV[3])
end
"""

# KEYS: queue, inflight. ARGV: ttl, the wake mark that may stay or '', 1 to change nothing, how many ids are queued,
# these, those in flight.
_REBUILD = """
local mark, only_compare, queued = ARGV[2], ARGV[3] == '1', tonumber(ARGV[4])
local wanted = {{}, {}}
for k = 1, 2 do
  for _, element in ipairs(redis.call('LRANGE', KEYS[k], 0, -1)) do
    if mark ~= '' and element == mark and #wanted[k] == 0 then table.insert(wanted[k], element) end
  end
end
for i = 5, #ARGV do table.insert(wanted[(i - 4 <= queued) and 1 or 2], ARGV[i]) end
local changed = 0
for k = 1, 2 do
  local found = redis.call('LRANGE', KEYS[k], 0, -1)
  local same = #found == #wanted[k]
  for i = 1, #found do same = same and found[i] == wanted[k][i] end
  if not same then
    changed = 1
    if not only_compare then
      redis.call('DEL', KEYS[k])
      for _, element in ipairs(wanted[k]) do redis.call('RPUSH', KEYS[k], element) end
      redis.call('EXPIRE', KEYS[k], ARGV[1])
    end
  end
end
return changed
"""

# KEYS: queue, inflight. ARGV: element.
_DROP = """
redis.call('LREM', KEYS[2], 1, ARGV[1])
redis.call('LREM', KEYS[1], 0, ARGV[1])
"""


def wake_mark(generation: int) -> str:
    """The element by which KEDA sees a wake that has no message."""
    return f"wake:{generation}"


def ping() -> None:
    """Raises RedisUnavailable."""
    redisdoor.call("ping")


def push(session_id: str, *elements: str, rings: bool = True) -> None:
    """Append to the queue and ring the workers. Raises RedisUnavailable."""
    _run(_PUSH, session_id, settings.SESSION_TTL, WORK if rings else "", session_id, *elements)


def take(session_id: str, element: str) -> None:
    """Move an element from the queue to what is in flight. Raises RedisUnavailable."""
    _run(_MOVE, session_id, element, "RIGHT", settings.SESSION_TTL)


def put_back(session_id: str, element: str) -> None:
    """Move an element back to the head of the queue. Raises RedisUnavailable."""
    keys = [_IN_FLIGHT + session_id, _QUEUE + session_id]
    redisdoor.run(_MOVE, keys, [element, "LEFT", settings.SESSION_TTL])


def drop(session_id: str, element: str) -> None:
    """Remove an element that is done. Raises RedisUnavailable."""
    _run(_DROP, session_id, element)


def rebuild(
    session_id: str,
    *,
    queued: Sequence[str],
    in_flight: Sequence[str],
    mark: str | None = None,
    only_compare: bool = False,
) -> bool:
    """Make both lists hold exactly these ids, a wake mark `mark` kept where it is; whether they differed.

    Call it under the pod's row lock. Raises RedisUnavailable.
    """
    changed = _run(
        _REBUILD, session_id, settings.SESSION_TTL, mark or "", int(only_compare), len(queued), *queued, *in_flight
    )
    return bool(changed)


def forget(session_id: str) -> None:
    """Delete both lists. Raises RedisUnavailable."""
    redisdoor.call("delete", _QUEUE + session_id, _IN_FLIGHT + session_id)


def sessions_with_lists() -> set[str]:
    """The sessions that have a key here, and what else stands where their ids should (POD-71).

    Raises RedisUnavailable.
    """
    found: set[str] = set()
    cursor = None
    while cursor != 0:
        cursor, keys = redisdoor.call("scan", cursor or 0, match="baton:*:*", count=_SCAN_COUNT)
        found.update(key.decode("utf-8", "replace") for key in keys)
    names = {key.removeprefix(prefix) for key in found for prefix in (_QUEUE, _IN_FLIGHT) if key.startswith(prefix)}
    return {name for name in names if name.isascii() and name.isprintable()}


def ring(session_id: str, *, for_chat: bool = False) -> None:
    """Tell the workers that the session has work, and whether it is a message alone. Raises RedisUnavailable."""
    redisdoor.call("publish", WORK, session_id + FOR_CHAT if for_chat else session_id)


def tell(session_id: str) -> None:
    """Tell those who wait that the session has news. Raises RedisUnavailable."""
    redisdoor.call("publish", NEWS, session_id)


def _run(script: str, session_id: str, *arguments: str | int) -> object:
    return redisdoor.run(script, [_QUEUE + session_id, _IN_FLIGHT + session_id], arguments)
