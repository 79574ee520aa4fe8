"""The steps of the demo that are routed elsewhere: chat to a pod, golf to a solver or a planner."""

import asyncio

from launcher.demo.story import Story, expect, same

# Hole 2 of the shipped course: 3 m from the cup, the cup, 100 m to the west.
_BALL = {"lat": 56.336128337, "lon": -2.804206626}
_CUP = {"lat": 56.336128260, "lon": -2.804158103}
_AWAY = {"lat": 56.336130860, "lon": -2.805824066}


async def chat(story: Story) -> None:
    """The first message wakes the pod, which answers it, says what it is, and goes to sleep again (POD-17, POD-33)."""
    made = {"user_id": story.user_id, "uuid": story.session_id}
    expect(await story.http.post("/session/create", json=made), 201)
    path = f"/session/{story.session_id}"
    queued = expect(await story.http.post(f"{path}/chat", json={"message": "Hello, pod."}), 202)
    after = 0
    async with asyncio.timeout(30):
        while True:
            said = expect(await story.http.get(f"{path}/messages", params={"after": after, "wait": 20}), 200)
            if settled := [one for one in said["messages"] if one["status"] in ("answered", "dead")]:
                break
            after = said["next"]
    [answer] = settled
    same((answer["message_id"], answer["status"]), (queued["message_id"], "answered"), "the message")
    same(expect(await story.http.get(f"{path}/status"), 200)["status"], "running", "the pod")
    expect(await story.http.post(f"{path}/sleep"), 200)


async def play_golf(story: Story) -> None:
    """A putt, then two samples off the green before the shot: one alone changes nothing (ADV-65, ADV-103)."""
    place = {"session_id": story.session_id}
    started = {"course_id": "baton_links", "hole_id": 2, "ball_wgs84": _BALL, "cup_wgs84": _CUP}
    expect(await story.http.post("/api/session/start", json={**place, **started}), 200)
    putt = expect(await story.http.post("/api/get_hole_advice", json=place), 200)
    same((putt["plan_type"], putt["plan"]["raw"]["dll_return_code"]), ("PUTT", 0), "the plan on the green")
    seen = []
    for _ in range(2):
        moved = await story.http.post("/api/session/set_ball_location", json={**place, "ball_wgs84": _AWAY})
        seen.append(expect(moved, 200)["hole_state"]["surface_state"])
    same(seen, ["ON_GREEN", "OFF_GREEN"], "the surface after each sample")
    shot = expect(await story.http.post("/api/get_hole_advice", json=place), 200)
    same((shot["plan_type"], shot["warnings"]), ("TEE_TO_GREEN", []), "the plan off the green")
    ended = expect(await story.http.post("/api/session/end", json=place), 200)
    same(ended["session_closed"], False, "whether the session ended with the hole")
