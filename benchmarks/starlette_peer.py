"""The peer of GET /session/{id}: Starlette and asyncpg answering from the same rows with the same query.

Run by a Python of its own, which needs: starlette asyncpg uvicorn uvloop httptools orjson. No rights, limits or log.
"""

# mypy: disable-error-code="import-not-found"
# The peer has a Python of its own; ours lacks its packages.

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

QUERY = """
SELECT p.session_id, p.user_id, s.epoch::text, s.version, s.checksum, s.device_id, s.app_version, s.created_at,
       s.updated_at, s.expires_at, s.size_bytes, length(s.data) AS stored_bytes, s.data
FROM sessions_app_session p LEFT JOIN sessions_app_state s USING (session_id)
WHERE p.session_id = $1"""


@asynccontextmanager
async def pool(app: Starlette) -> AsyncIterator[None]:
    """Eight connections."""
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=8, max_size=8) as connections:
        app.state.pool = connections
        yield


async def read(request: Request) -> Response:
    """The row as JSON."""
    async with request.app.state.pool.acquire() as connection:
        row = dict(await connection.fetchrow(QUERY, request.path_params["session_id"]))
    row["state_data"] = orjson.Fragment(row.pop("data"))
    return Response(orjson.dumps(row), media_type="application/json")


app = Starlette(routes=[Route("/session/{session_id}", read)], lifespan=pool)
