"""Which PostgreSQL and which Redis are in use: the user's, or embedded ones started here (OPS-3)."""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
import redis

from launcher import ports, postgres
from launcher import redis as embedded_redis
from launcher.errors import MissingNeed
from launcher.home import Home
from launcher.supervisor import Supervisor

POSTGRES_OLDEST = 15  # CON-15
REDIS_OLDEST = (6, 2)


@dataclass(frozen=True, slots=True)
class Server:
    """One server really spoken to; `kind` is `embedded` or `external`."""

    url: str
    version: str
    kind: str

    @property
    def embedded(self) -> bool:
        """Whether it was started here and holds only our data."""
        return self.kind == "embedded"


@dataclass(frozen=True, slots=True)
class Servers:
    """Both servers of one start."""

    postgres: Server
    redis: Server

    @property
    def env(self) -> dict[str, str]:
        """What every child needs to find them (OPS-5)."""
        return {"DATABASE_URL": self.postgres.url, "REDIS_URL": self.redis.url}


def start(supervisor: Supervisor, env: Mapping[str, str], home: Home, *, durable: bool) -> Servers:
    """Take the servers the environment names and start those it does not. Raises MissingNeed, Refusal."""
    database_url, redis_url = env.get("DATABASE_URL", ""), external_redis(env)
    if database_url:
        check_postgres(database_url)
    if redis_url:
        redis_version(redis_url)
    kinds = ["external" if url else "embedded" for url in (database_url, redis_url)]
    if not database_url:
        database_url = postgres.start(supervisor, postgres.prepare(home, durable=durable), ports.any_free())
    if not redis_url:
        redis_url = embedded_redis.start(supervisor, home.path, ports.any_free())
    return Servers(
        Server(database_url, check_postgres(database_url), kinds[0]),
        Server(redis_url, redis_version(redis_url), kinds[1]),
    )


def external_redis(env: Mapping[str, str]) -> str:
    """The URL of the Redis the user named, by REDIS_URL or by the seeds' older names (OPS-63), or an empty text."""
    if env.get("REDIS_URL"):
        return env["REDIS_URL"]
    address = env.get("REDIS_ADDR", "")
    if not address and env.get("REDIS_HOST"):
        address = f"{env['REDIS_HOST']}:{env.get('REDIS_PORT') or 6379}"
    if not address:
        return ""
    login = f":{env['REDIS_PASSWORD']}@" if env.get("REDIS_PASSWORD") else ""
    return f"redis://{login}{address}/{env.get('REDIS_DB') or 0}"


def check_postgres(url: str) -> str:
    """The version of a PostgreSQL. Raises MissingNeed if it cannot be reached, is older than 15, or is none."""
    scheme = url.partition(":")[0]
    if scheme not in {"postgres", "postgresql", "psql", "pgsql"}:
        raise MissingNeed(f"DATABASE_URL must name a PostgreSQL, not {scheme!r}.")
    try:
        with psycopg.connect(f"postgresql:{url.partition(':')[2]}", connect_timeout=10) as connection:
            number = connection.info.server_version
    except psycopg.Error as error:
        raise MissingNeed(f"The PostgreSQL of DATABASE_URL cannot be reached: {error}".strip()) from error
    if number // 10000 < POSTGRES_OLDEST:
        raise MissingNeed(f"PostgreSQL {POSTGRES_OLDEST} or newer is needed; DATABASE_URL names {number // 10000}.")
    return f"{number // 10000}.{number % 10000}"


def redis_version(url: str) -> str:
    """The version of a Redis. Raises MissingNeed if it cannot be reached or is older than 6.2."""
    try:
        with redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=10) as client:
            version = str(client.info("server")["redis_version"])
    except (redis.RedisError, ValueError) as error:
        raise MissingNeed(f"The Redis of REDIS_URL cannot be reached: {error}") from error
    if tuple(int(part) for part in version.split(".")[:2]) < REDIS_OLDEST:
        raise MissingNeed(f"Redis 6.2 or newer is needed; REDIS_URL names {version}.")
    return version
