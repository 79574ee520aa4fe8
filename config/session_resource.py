"""`/session/{id}`: its snapshot and its patch are the state's, its end is the pod's (POD-75)."""

from typing import Any

from django.http import HttpRequest

from routing.pod.pod_views import DeleteSession
from sessions_app.state.state_views import StateOfSession

_end = DeleteSession.as_view()


class SessionResource(StateOfSession):
    """One path with two owners, each with its own order of checks."""

    delete = DeleteSession.delete  # named for Allow and the schema; dispatch sends it to its own view

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """DELETE to the pods, the rest to the state."""
        if request.method == "DELETE":
            return _end(request, *args, **kwargs)
        return super().dispatch(request, *args, **kwargs)
