"""One timer for all deadlines."""

import asyncio

from sessions_app.sockets.wheel import Wheel


class Watched:
    """Counts the looks at it; `again` seconds after each comes the next."""

    def __init__(self, again=None, fails=False):
        self.due_at, self.looks, self._again, self._fails = 0, 0, again, fails

    def check(self, now):
        self.looks += 1
        if self._fails and self.looks == 1:
            raise ValueError
        return None if self._again is None else now + self._again


def test_watch():
    """Looked at once it is due, at the latest deadline only, again if it says so, and in spite of a defect."""

    async def story():
        wheel, now = Wheel(), asyncio.get_running_loop().time()
        once, moved, often, failing = Watched(), Watched(), Watched(0.5), Watched(fails=True)
        wheel.start()
        wheel.watch(once, now + 0.1)
        wheel.watch(moved, now + 0.1)
        wheel.watch(moved, now + 60)
        wheel.watch(often, now)
        wheel.watch(failing, now)
        await asyncio.sleep(3.2)
        wheel.stop()
        return once.looks, moved.looks, often.looks, failing.looks

    once, moved, often, failing = asyncio.run(story())
    assert (once, moved, failing) == (1, 0, 2)
    assert often >= 2
