"""The leaves of routing's errors: a kind, a stable code, the meaning and what to do about it."""

from sessions_app.errors import DomainError, Invalid, NotFound, Unavailable

# Golf (advice.md section 10)


class TransformFailed(Invalid):
    """The position has no place on this green's grid."""

    code, remedy = "TRANSFORM_FAILED", "Check the position and the course."


class DatasetNotFound(NotFound):
    """No green is registered for this course and hole."""

    code, remedy = "DATASET_NOT_FOUND", "Choose a hole that GET /api/datasets lists."


class DatasetInvalid(DomainError):
    """The green's files are broken; other holes work."""

    status, title, code = 500, "Broken installation", "DATASET_INVALID"
    remedy = "Tell the operator to run manage.py check_datasets."


class RegistryUnavailable(Unavailable):
    """The registry of greens could not be read at start."""

    code, remedy = "REGISTRY_UNAVAILABLE", "Tell the operator to run manage.py check_datasets and to restart."
