"""The SQL of statestore.py, one statement for a whole batch: arrays go in, and `unnest` makes rows of them.

Plain SQL, because the ORM has no words for locking, reading and writing many rows by arrays.
"""

# One order of locks in every process: by session id.
LOCK = """
SELECT session_id, user_id, status, last_activity_at FROM sessions_app_session
WHERE session_id = ANY(%s) ORDER BY session_id FOR NO KEY UPDATE"""

# A statement of its own, because it has to see what those committed who held the locks before us. States are locked as
# well, because FOLLOW asks for nothing else. One whose checksum the process knows already is not sent again.
LOAD = """
SELECT s.session_id, s.epoch::text, s.version, s.checksum, s.device_id, s.app_version, s.created_at, s.updated_at,
       s.expires_at, s.size_bytes, length(s.data), CASE WHEN s.checksum = known.checksum THEN NULL ELSE s.data END
FROM unnest(%s, %s) AS known(session_id, checksum)
JOIN sessions_app_state s ON s.session_id = known.session_id
ORDER BY s.session_id FOR NO KEY UPDATE OF s"""

# The one question of all readers.
READ = """
SELECT p.session_id, p.user_id, s.epoch::text, s.version, s.checksum, s.device_id, s.app_version, s.created_at,
       s.updated_at, s.expires_at, s.size_bytes, length(s.data), s.data
FROM sessions_app_session p LEFT JOIN sessions_app_state s USING (session_id)
WHERE p.session_id = ANY(%s)"""

BY_OP = """
SELECT session_id, epoch::text, version, source, device_id, app_version, performer_id, op_id, op_digest, changes,
       deleted_keys, previous, checksum, size_bytes, created_at
FROM sessions_app_stateversion
WHERE (session_id, device_id, op_id) IN (SELECT * FROM unnest(%s, %s, %s))"""

# One set of rows for both: each is a version for the log; those with `data` are the newest of their session and change
# its state as well. All that a batch writes has one time.
_MADE = """
WITH made AS (
    SELECT * FROM unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) AS made(
        session_id, epoch, version, source, device_id, app_version, performer_id, op_id, op_digest, changes,
        deleted_keys, previous, checksum, size_bytes, data, begun_at, follows)
)"""
_LOGGED = """
    INSERT INTO sessions_app_stateversion (
        session_id, epoch, version, source, device_id, app_version, performer_id, op_id, op_digest, changes,
        deleted_keys, previous, checksum, size_bytes, created_at)
    SELECT session_id, epoch, version, source, device_id, app_version, performer_id, op_id, op_digest, changes,
           convert_from(deleted_keys, 'UTF8')::jsonb, previous, checksum, size_bytes, %s"""
_STATE = """
    UPDATE sessions_app_state s
    SET epoch = made.epoch, version = made.version, data = made.data, size_bytes = made.size_bytes,
        checksum = made.checksum, device_id = made.device_id, app_version = made.app_version,
        created_at = made.begun_at, updated_at = %s, expires_at = %s, expires_on = %s"""

# Under the locks of LOCK and LOAD.
WRITE = f"""{_MADE}, logged AS ({_LOGGED}
    FROM made
){_STATE}
    FROM made
    WHERE s.session_id = made.session_id AND made.data IS NOT NULL"""

# Without them: a session's versions are written if its state still is the one they follow, lives, is not sealed by an
# end, and none of their op_ids came before. Rows are locked in the one order, and found again by place.
FOLLOW = f"""{_MADE}, repeated AS (
    SELECT made.session_id FROM made JOIN sessions_app_stateversion USING (session_id, device_id, op_id)
), current AS (
    SELECT s.ctid AS place, s.session_id FROM sessions_app_state s JOIN made USING (session_id)
    WHERE made.data IS NOT NULL AND s.epoch = made.epoch AND s.version = made.follows
      AND s.expires_at > %s AND NOT s.is_sealed AND s.session_id NOT IN (SELECT session_id FROM repeated)
    ORDER BY s.session_id FOR NO KEY UPDATE OF s
), changed AS ({_STATE}
    FROM made JOIN current USING (session_id)
    WHERE s.ctid = current.place AND made.data IS NOT NULL
    RETURNING s.session_id
), logged AS ({_LOGGED}
    FROM made JOIN changed USING (session_id)
)
SELECT session_id FROM changed"""

INSERT = """
INSERT INTO sessions_app_state (
    session_id, epoch, version, data, size_bytes, checksum, device_id, app_version, created_at, updated_at, expires_at,
    expires_on)
SELECT session_id, epoch, version, data, size_bytes, checksum, device_id, app_version, begun_at, %s, %s, %s
FROM unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s) AS made(
    session_id, epoch, version, data, size_bytes, checksum, device_id, app_version, begun_at)"""

# What an earlier epoch left behind, and versions older than the history that is kept. Who wrote them stays known.
FORGET = """
WITH gone AS (
    DELETE FROM sessions_app_stateversion l
    USING unnest(%s, %s, %s) AS v(session_id, epoch, oldest)
    WHERE l.session_id = v.session_id AND (l.epoch <> v.epoch OR l.version < v.oldest)
    RETURNING l.session_id, l.device_id, l.created_at
)
INSERT INTO sessions_app_writer AS w (session_id, device_id, written_at)
SELECT session_id, device_id, max(created_at) FROM gone WHERE device_id IS NOT NULL GROUP BY session_id, device_id
ON CONFLICT (session_id, device_id) DO UPDATE SET written_at = greatest(w.written_at, excluded.written_at)"""

# Whoever holds a row meanwhile acts within the session too.
TOUCH = """
UPDATE sessions_app_session SET last_activity_at = %s WHERE session_id IN (
    SELECT session_id FROM sessions_app_session WHERE session_id = ANY(%s)
    ORDER BY session_id FOR NO KEY UPDATE SKIP LOCKED)"""
