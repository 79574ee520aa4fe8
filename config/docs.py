"""The documents of the API: `/schema/` (OpenAPI 3.1) and `/docs/`, which shows it; both work offline (OPS-55)."""

from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.negotiation import DefaultContentNegotiation


class Schema(SpectacularAPIView):
    """YAML; JSON by Accept."""

    authentication_classes = []
    permission_classes = []
    content_negotiation_class = DefaultContentNegotiation
    renderer_classes = [OpenApiYamlRenderer, OpenApiJsonRenderer]


class Docs(SpectacularSwaggerSplitView):
    """Swagger UI from our own static files; its script stands apart, so that no policy has to allow inline code."""

    authentication_classes = []
    permission_classes = []
    url_name = "schema"
