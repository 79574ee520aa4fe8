"""Frames that did not come: looked up in the operation log, so that no member misses one unnoticed (L4, STA-66).

A frame that came too early waits a moment for its predecessors, which are usually under way. What a crash or Redis lost
for good is found by a look at the states of all sessions that have members here.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

import structlog

from sessions_app.fanout import resume
from sessions_app.fanout.feeds import Feed
from sessions_app.kinds import DomainError
from sessions_app.sockets.threads import cross

PATIENCE_S: Final = 0.03  # for a predecessor that is under way
RETRY_S: Final = 1.0
MOST_FRAMES: Final = 256
MOST_PER_LOOK: Final = 2000  # sessions in one query

log = structlog.get_logger(__name__)


def expect(feed: Feed) -> None:
    """A frame waits for others: look them up if they do not come soon."""
    if not feed.filling:
        feed.filling = True
        asyncio.get_running_loop().call_later(PATIENCE_S, _start, feed)


def look(feeds: Iterable[Feed]) -> None:
    """Frames of these sessions may be missing: compare with the states soon."""
    asyncio.get_running_loop().create_task(check(list(feeds)))


async def check(feeds: Iterable[Feed]) -> None:
    """Compare where these feeds are with where the states are, and fill what is behind."""
    try:
        await _check(feeds)
    except DomainError as error:
        log.warning("feeds.not_checked", code=error.code)


async def _check(feeds: Iterable[Feed]) -> None:
    watched = {feed.session_id: feed for feed in feeds if feed.members and feed.order.is_known}
    session_ids = list(watched)
    for start in range(0, len(session_ids), MOST_PER_LOOK):
        found = await cross(resume.positions, session_ids[start : start + MOST_PER_LOOK])
        for session_id, (epoch, seq) in found.items():
            order = watched[session_id].order
            if not watched[session_id].filling and (epoch != order.epoch or seq > order.seq):
                expect(watched[session_id])


def _start(feed: Feed) -> None:
    asyncio.get_running_loop().create_task(_fill(feed))


async def _fill(feed: Feed) -> None:
    try:
        standing = await cross(_since, feed)
    except DomainError as error:
        log.warning("feed.not_filled", session_id=feed.session_id, code=error.code)
        asyncio.get_running_loop().call_later(RETRY_S, _start, feed)
        return
    except BaseException:
        feed.filling = False
        raise
    feed.filling = False
    if standing.snapshot is None:
        return
    if standing.missing is None:
        log.info("feed.resynced", session_id=feed.session_id, members=len(feed.members))
        for member in feed.members:
            member.resync()
    for frame in standing.missing or ():
        feed.deliver(frame)
    feed.place(*standing.position)  # what is older than that waits for nothing any more
    if feed.order.is_waiting and feed.members:
        expect(feed)


def _since(feed: Feed) -> resume.Standing:
    epoch, seq = feed.order.epoch, feed.order.seq
    standing = resume.since(feed.session_id, epoch=epoch, seq=seq, most=MOST_FRAMES)
    if standing.missing is None and standing.snapshot is not None and standing.snapshot.epoch != epoch:
        # The epoch changed unnoticed: members learn it by its first frame (DEV-41).
        return resume.since(feed.session_id, epoch=standing.snapshot.epoch, seq=0, most=MOST_FRAMES)
    return standing
