"""The documents of the API: `/schema/` (OpenAPI 3.1) and `/docs/`, which shows it; both work offline (OPS-55)."""

from typing import Any

from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request


class _ElseJson(DefaultContentNegotiation):
    """By Accept; JSON where nothing satisfies it (OPS-57)."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        """The renderer and its media type."""
        try:
            return super().select_renderer(request, renderers, format_suffix)
        except NotAcceptable:
            return renderers[-1], renderers[-1].media_type


class Schema(SpectacularAPIView):
    """YAML; JSON by Accept."""

    authentication_classes = []
    permission_classes = []
    content_negotiation_class = _ElseJson
    # Each form under its registered name and under the plain one.
    renderer_classes = [OpenApiYamlRenderer, OpenApiYamlRenderer2, OpenApiJsonRenderer, OpenApiJsonRenderer2]


class Docs(SpectacularSwaggerSplitView):
    """Swagger UI from our own static files; its script stands apart, so that no policy has to allow inline code."""

    authentication_classes = []
    permission_classes = []
    url_name = "schema"
