"""Door to the Redis lists that wake pods (POD-36 to POD-38), which KEDA watches. The rows are the truth, a list tells.

`baton:queue:<session>` holds what waits, `baton:inflight:<session>` what is being done: message ids and wake marks
`wake:<generation>`. Each change of a list is one script, so that two processes never interleave. Redis 6.2 is enough.

A push follows a commit and may come late, when the pod has been taken down meanwhile. `baton:gone` names the pods whose
lists were deleted of late, and nothing is pushed for them.
"""

import time
from collections.abc import Sequence

from django.conf import settings

from sessions_app import redisdoor

WORK = "baton:pods:work"  # a session with work for a worker
FOR_CHAT = " chat"  # behind the session: there is a message and nothing else
NEWS = "baton:pods:news"  # a session with news for those who wait, perhaps with what there is to tell
MOST_TOLD_CHARACTERS = 8192  # every web process hears it: who waits for more reads the row
_QUEUE, _IN_FLIGHT, _GONE = "baton:queue:", "baton:inflight:", "baton:gone"
_GONE_S = 3600  # far longer than any process takes from a commit to its push
_SCAN_COUNT = 1000

# KEYS: queue, inflight, gone. ARGV: the pod, ttl, channel, notice, elements...
_PUSH = """
if redis.call('ZSCORE', KEYS[3], ARGV[1]) then return end
for i = 5, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4])
"""

# KEYS: queue, inflight, gone. ARGV: the pod or '', now, how long it is remembered.
_FORGET = """
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ARGV[2] - ARGV[3])
if ARGV[1] ~= '' then
  redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
  redis.call('EXPIRE', KEYS[3], ARGV[3])
end
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

# KEYS: queue, inflight. ARGV: element, channel or '', notice.
_DROP = """
if ARGV[2] ~= '' then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
redis.call('LREM', KEYS[2], 1, ARGV[1])
redis.call('LREM', KEYS[1], 0, ARGV[1])
"""


def wake_mark(generation: int) -> str:
    """The element by which KEDA sees a wake that has no message."""
    return f"wake:{generation}"


def ping() -> None:
    """Raises RedisUnavailable."""
    redisdoor.call("ping")


def push(session_id: str, *elements: str, pod_id: int, for_chat: bool = False) -> None:
    """Append to the queue and `ring`, unless the pod's lists were deleted (POD-27). Raises RedisUnavailable."""
    keys, notice = [*_lists(session_id), _GONE], _work(session_id, for_chat)
    redisdoor.run(_PUSH, keys, [_pod(session_id, pod_id), settings.SESSION_TTL, WORK, notice, *elements])


def take(session_id: str, element: str) -> None:
    """Move an element from the queue to what is in flight. Raises RedisUnavailable."""
    _run(_MOVE, session_id, element, "RIGHT", settings.SESSION_TTL)


def put_back(session_id: str, element: str) -> None:
    """Move an element back to the head of the queue. Raises RedisUnavailable."""
    keys = _lists(session_id)[::-1]
    redisdoor.run(_MOVE, keys, [element, "LEFT", settings.SESSION_TTL])


def drop(session_id: str, element: str) -> None:
    """Remove an element that is done. Raises RedisUnavailable."""
    _run(_DROP, session_id, element, "", "")


def settled(session_id: str, message_id: str, told: str = "") -> None:
    """Remove a message that has its outcome, and `tell` of it. Raises RedisUnavailable."""
    _run(_DROP, session_id, message_id, NEWS, _news(session_id, told))


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


def forget(session_id: str, *, pod_id: int | None = None) -> None:
    """Delete both lists, and let them stay deleted for that pod (POD-27). Raises RedisUnavailable."""
    pod = "" if pod_id is None else _pod(session_id, pod_id)
    redisdoor.run(_FORGET, [*_lists(session_id), _GONE], [pod, int(time.time()), _GONE_S])


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
    redisdoor.publish(WORK, _work(session_id, for_chat))


def tell(session_id: str) -> None:
    """Tell those who wait that the session has news. Raises RedisUnavailable."""
    redisdoor.publish(NEWS, _news(session_id))


def read_news(notice: str) -> tuple[str, str]:
    """The session a notice on NEWS names, and what it tells if anything."""
    session_id, _, told = notice.partition(" ")
    return session_id, told


def _run(script: str, session_id: str, *arguments: str | int) -> object:
    return redisdoor.run(script, _lists(session_id), arguments)


def _lists(session_id: str) -> list[str]:
    return [_QUEUE + session_id, _IN_FLIGHT + session_id]


def _pod(session_id: str, pod_id: int) -> str:
    return f"{session_id} {pod_id}"  # a session may get a second pod


def _news(session_id: str, told: str = "") -> str:
    return f"{session_id} {told}" if told and len(told) <= MOST_TOLD_CHARACTERS else session_id


def _work(session_id: str, for_chat: bool) -> str:
    return session_id + FOR_CHAT if for_chat else session_id
