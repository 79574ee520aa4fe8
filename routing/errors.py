"""The leaves of routing's errors: a kind, a stable code, the meaning and what to do about it."""

from sessions_app.kinds import (
    Conflict,
    DomainError,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
)

# Golf (advice.md section 10)


class UnsupportedContractVersion(Invalid):
    """This contract_version is not spoken here; `supported` lists those that are."""

    code, remedy = "UNSUPPORTED_CONTRACT_VERSION", "Send a version of `supported`."


class BallLocationRequired(Invalid):
    """Neither the session nor the request says where the ball lies."""

    code, remedy = "BALL_LOCATION_REQUIRED", "Set the ball location, or send ball_wgs84."


class SessionMismatch(Invalid):
    """course_id or hole_id is not that of the session."""

    code, remedy = "SESSION_MISMATCH", "Leave them out, or start a session for that hole."


class TransformFailed(Invalid):
    """The position has no place on this green's grid."""

    code, remedy = "TRANSFORM_FAILED", "Check the position and the course."


class CompetitionLocked(Forbidden):
    """The hole was started in competition mode, which holds to its end."""

    code, remedy = "COMPETITION_LOCKED", "Leave competition_mode out."


class DatasetNotFound(NotFound):
    """No green is registered for this course and hole."""

    code, remedy = "DATASET_NOT_FOUND", "Choose a hole that GET /api/datasets lists."


class HoleAlreadyStarted(Conflict):
    """The session plays a hole already."""

    code, remedy = "HOLE_ALREADY_STARTED", "End that hole first, or use it."


class SessionConflict(Conflict):
    """Others kept changing this hole; nothing was written."""

    code, remedy = "SESSION_CONFLICT", "Repeat the request."


class RequestIdReused(Conflict):
    """This request_id was used with another body in this session."""

    code, remedy = "REQUEST_ID_REUSED", "Give every request an id of its own."


class SessionExpired(Gone):
    """The hole has not been used for too long."""

    code, remedy = "SESSION_EXPIRED", "Start the hole anew."


class DatasetInvalid(DomainError):
    """The green's files are broken; other holes work."""

    status, title, code = 500, "Broken installation", "DATASET_INVALID"
    remedy = "Tell the operator to run manage.py check_datasets."


class RegistryUnavailable(Unavailable):
    """The registry of greens could not be read at start."""

    code, remedy = "REGISTRY_UNAVAILABLE", "Tell the operator to run manage.py check_datasets and to restart."


class StoreUnavailable(Unavailable):
    """The store of hole state does not answer; nothing has changed."""

    code, remedy = "STORE_UNAVAILABLE", "Repeat the request later."


class SolverNotConfigured(Unavailable):
    """No putt solver is configured."""

    code, remedy = "SOLVER_NOT_CONFIGURED", "Tell the operator to set PUTT_SOLVER_URL."
    retry_after_s = 60


class CircuitOpen(Unavailable):
    """The solver failed too often just now and is left alone for some seconds."""

    code, remedy = "CIRCUIT_OPEN", "Wait for the seconds in Retry-After."


class SolverRejected(Invalid):
    """The solver refused the putt; `downstream_code` says why."""

    code, remedy = "SOLVER_REJECTED", "Check ball and cup."


class SolverUnknown(NotFound):
    """The solver does not know this green; `downstream_code` says why."""

    code, remedy = "SOLVER_REJECTED", "Tell the operator: server and solver need the same registry."


class SolverAuthFailed(UpstreamFailed):
    """The solver refused this server's key."""

    code, remedy = "SOLVER_AUTH_FAILED", "Tell the operator to check PUTT_SOLVER_API_KEY."


class SolverBadResponse(UpstreamFailed):
    """The solver's answer breaks its contract."""

    code, remedy = "SOLVER_BAD_RESPONSE", "Tell the operator."


class SolverUnavailable(UpstreamFailed):
    """The solver does not answer, or answers that it cannot."""

    code, remedy = "SOLVER_UNAVAILABLE", "Repeat the request later."


class SolverTimeout(UpstreamTimeout):
    """The solver took too long."""

    code, remedy = "SOLVER_TIMEOUT", "Repeat the request later."


# The reference solver and planner (advice.md sections 8 and 12)


class OutOfBounds(Invalid):
    """Ball or cup lies outside the green's extents."""

    code, remedy = "OUT_OF_BOUNDS", "Send places on the green."


class OutOfRange(Invalid):
    """The ball is nearer than 2 m to the pin, or farther than 700 m."""

    code, remedy = "OUT_OF_RANGE", "Check ball and pin."


class DtmUnknown(NotFound):
    """No green with this dtm_id is registered here."""

    code, remedy = "DTM_UNKNOWN", "Give server and solver the same registry."


class HoleUnknown(NotFound):
    """No hole with this course_id and hole_id is registered here."""

    code, remedy = "HOLE_UNKNOWN", "Give server and planner the same registry."


class GridUnreadable(Unavailable):
    """The green's elevation grid could not be read."""

    code, remedy = "GRID_UNREADABLE", "Tell the operator to run manage.py check_datasets."


# Pods (pods.md section 13)


class PodNotFound(NotFound):
    """The session has no pod, or the pod it had has expired."""

    code, remedy = "POD_NOT_FOUND", "Give the session a pod with POST /session/create."


class PodExists(Conflict):
    """The session has a pod already."""

    code, remedy = "POD_EXISTS", "Use the pod the session has."


class QueueFull(Conflict):
    """As many messages wait for this pod as may wait."""

    code, remedy = "QUEUE_FULL", "Wait until some are answered."


class PodRejected(UpstreamFailed):
    """The pod refused the message; `pod_status` tells how. It will not be sent again."""

    code, remedy = "POD_REJECTED", "Correct the message and send it anew."


class PodBadAnswer(UpstreamFailed):
    """The pod's answer is not a JSON object of at most 262,144 bytes. The message will not be sent again."""

    code, remedy = "POD_BAD_ANSWER", "Tell the operator: the pod does not keep its contract."


class PodFailed(UpstreamFailed):
    """The pod failed at every attempt. The message will not be sent again."""

    code, remedy = "POD_FAILED", "Send the message anew later."


class ClusterUnavailable(Unavailable):
    """What runs the pods does not answer, or could not finish in time."""

    code, remedy = "CLUSTER_UNAVAILABLE", "Repeat the request later."


class ClusterFull(Unavailable):
    """The cluster's quota has no room for another pod."""

    code, remedy, retry_after_s = "CLUSTER_FULL", "Repeat the request later, or ask the operator for room.", 60


class ClusterForbidden(UpstreamFailed):
    """The cluster does not grant Baton the rights it needs."""

    code, remedy = "CLUSTER_FORBIDDEN", "Tell the operator to apply deploy/k8s/base/rbac.yaml."


class ClusterRejected(UpstreamFailed):
    """The cluster refused an object: a defect of Baton or of the installation."""

    code, remedy = "CLUSTER_REJECTED", "Report the request_id to the operator."
