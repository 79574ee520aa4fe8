"""How Kubernetes is spoken to (POD-59 to POD-66): every write checked to the letter, every answer in our words."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import structlog
from django.conf import settings
from lightkube import Client
from lightkube.config.client_adapter import verify_cluster
from lightkube.config.kubeconfig import DEFAULT_KUBECONFIG, KubeConfig, SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError
from lightkube.types import PatchType

from routing.errors import ClusterForbidden, ClusterFull, ClusterRejected, ClusterUnavailable
from sessions_app.kinds import DomainError

CONFLICT_TRIES = 3  # POD-66
CONNECT_S, ANSWER_S = 3.0, 7.0  # POD-64: 10 s in all
QUICK_CONNECT_S, QUICK_ANSWER_S = 1.0, 1.0  # POD-24: 2 s in all

log = structlog.get_logger(__name__)

_clients: dict[bool, Client] = {}  # by quick
_lock = threading.Lock()


@contextmanager
def translated(act: str, name: str) -> Iterator[None]:
    """What Kubernetes answers becomes what a client may know (POD-66)."""
    try:
        yield
    except httpx2.HTTPStatusError as error:
        problem = _problem(error.response)
        log.warning(
            "cluster.refused", act=act, name=name, status=error.response.status_code, code=problem.code,
            error=str(error)[:500],
        )  # fmt: skip
        raise problem from error
    except (httpx2.HTTPError, ConfigError, OSError, ValueError) as error:  # ValueError: what answered speaks no JSON
        log.warning("cluster.unreachable", act=act, name=name, error=repr(error))
        raise ClusterUnavailable from error


def client(*, quick: bool = False) -> Client:
    """The client for this process; safe to use from several threads."""
    with _lock:
        if quick not in _clients:
            _clients[quick] = _made(quick)
        return _clients[quick]


def close() -> None:
    """End the connections that are kept open; a later call makes new ones."""
    with _lock:
        while _clients:
            _clients.popitem()[1].close()


def _made(quick: bool) -> Client:
    config = _config()
    connect_s, answer_s = (QUICK_CONNECT_S, QUICK_ANSWER_S) if quick else (CONNECT_S, ANSWER_S)
    verify = verify_cluster(config.cluster, config.user or User(), config.abs_file)
    return Client(
        config=config,
        namespace=settings.PODS_NAMESPACE,
        timeout=httpx2.Timeout(answer_s, connect=connect_s),
        transport=_Strict(retries=0 if quick else 1, verify=verify),
    )


def _problem(response: Any) -> DomainError:
    status = response.status_code
    if status == 403 and "exceeded quota" in response.text:
        return ClusterFull()
    if status in (401, 403):
        return ClusterForbidden()
    if status in (400, 404, 405, 415, 422):
        return ClusterRejected()
    given = response.headers.get("Retry-After", "")
    return ClusterUnavailable(retry_after=int(given)) if given.isdigit() else ClusterUnavailable()


class _Strict(httpx2.HTTPTransport):
    """Has every write checked to the letter (POD-59), and tries again what may be repeated (POD-64, POD-66)."""

    def __init__(self, *, retries: int, **options: Any) -> None:
        super().__init__(**options)
        self._retries = retries

    def handle_request(self, request: Any) -> Any:
        """One request, and perhaps its repetitions."""
        if request.method in ("POST", "PATCH"):
            request.url = request.url.copy_merge_params({"fieldValidation": "Strict"})
        applies = request.headers.get("Content-Type") == PatchType.APPLY.value
        retries = self._retries if request.method in ("GET", "DELETE") or applies else 0
        conflicts = 0 if request.method == "POST" else CONFLICT_TRIES - 1  # a POST's may say that it is there already
        while True:
            try:
                response = super().handle_request(request)
            except (httpx2.ConnectError, httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError):
                if not retries:
                    raise
                retries -= 1
                continue
            if retries and response.status_code in (429, 503):
                retries -= 1
            elif conflicts and response.status_code == 409:
                conflicts -= 1
            else:
                response.headers.setdefault("Content-Type", "text/plain")  # lightkube reads it of every refusal
                if warning := response.headers.get("Warning"):
                    log.warning("cluster.warned", path=request.url.path, warning=warning)
                return response
            response.close()


def _config() -> SingleConfig:
    """In-cluster, else KUBECONFIG (POD-55). Raises ConfigError."""
    try:
        found = KubeConfig.from_service_account()
    except ConfigError:
        found = KubeConfig.from_file(settings.KUBECONFIG or DEFAULT_KUBECONFIG)
    single = found.get()
    if single is None or single.user is None:
        raise ConfigError("no user in the configuration")
    return single
