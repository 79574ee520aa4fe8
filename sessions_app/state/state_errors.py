"""What can be wrong with a state, a patch or a version (CON-5, STA-8)."""

from sessions_app.kinds import Conflict, Gone, Invalid, NotFound, TooLarge


class TooDeep(Invalid):
    """Objects and arrays nest deeper than 32 levels."""

    code, remedy = "TOO_DEEP", "Flatten the state."


class InvalidValue(Invalid):
    """A value that the canonical form of RFC 8785 cannot carry."""

    code, remedy = "INVALID_VALUE", "Send integers up to 2^53 - 1, finite numbers and Unicode text without U+0000."


class InvalidUpdate(Invalid):
    """The update names no effect, or contradicts itself."""

    code, remedy = "INVALID_UPDATE", "Name each key once, in what is set or in what is deleted."


class InvalidPatch(Invalid):
    """The patch is not a well-formed document of its media type."""

    code, remedy = "INVALID_PATCH", "Send a patch as RFC 7396 or RFC 6902 define it."


class UnknownOperation(Invalid):
    """A state frame sets, deletes or merges; there is nothing else."""

    code, remedy = "UNKNOWN_OPERATION", "Send SET, DELETE or MERGE."


class PatchTestFailed(Conflict):
    """A `test` operation of the patch met another value; nothing was applied."""

    code, remedy = "PATCH_TEST_FAILED", "Read the current state and decide again."


class PatchNotApplicable(Conflict):
    """A pointer of the patch names nothing where it must name something; nothing was applied."""

    code, remedy = "PATCH_NOT_APPLICABLE", "Read the current state and decide again."


class StateTooLarge(TooLarge):
    """The resulting state would exceed 1,048,576 canonical bytes or 10,000 members."""

    code, remedy = "STATE_TOO_LARGE", "Keep less in the state."


class VersionConflict(Conflict):
    """The write was made for another version than the current one; `conflict` shows the difference."""

    code, remedy = "VERSION_CONFLICT", "Merge with conflict.server_state, or ask /session/conflict/resolve."


class SnapshotNotFound(NotFound):
    """The session has no state."""

    code, remedy = "SNAPSHOT_NOT_FOUND", "Write a first snapshot."


class VersionNotFound(NotFound):
    """The state has not reached this version."""

    code, remedy = "VERSION_NOT_FOUND", "Ask for a version up to the current one."


class SnapshotExpired(Gone):
    """The state has not been written for too long; a new snapshot starts anew."""

    code, remedy = "SNAPSHOT_EXPIRED", "Write a new snapshot."


class VersionExpired(Gone):
    """The version is older than the history that is kept."""

    code, remedy = "VERSION_EXPIRED", "Ask for a newer version."


class IdempotencyKeyReused(Conflict):
    """The Idempotency-Key stands for another request."""

    code, remedy = "IDEMPOTENCY_KEY_REUSED", "Use a fresh key for every new request."


class OpIdReused(Conflict):
    """The op_id stands for another write of this device."""

    code, remedy = "OP_ID_REUSED", "Use a fresh op_id for every new write."


class UnknownStrategy(Invalid):
    """A conflict is resolved by server_wins, client_wins or merge."""

    code, remedy = "UNKNOWN_STRATEGY", "Send one of the three, to the letter."
