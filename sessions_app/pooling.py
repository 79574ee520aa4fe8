"""What one lost connection says about the others: those idle in the pool were cut with it, by a restart or a failover.

Without a word the pool would hand them out one by one, each to a request that fails.
"""

from django.db import connection


def renew_if_lost() -> None:
    """After an error of the database: if this thread's connection is lost, let it and the idle ones be made anew."""
    if connection.connection is not None and not connection.is_usable():
        connection.close()
        if pool := getattr(connection, "pool", None):
            pool.drain()
