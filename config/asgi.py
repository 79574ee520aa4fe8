"""Where HTTP and sockets part; the raw routes served ahead of Django."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from channels.routing import ProtocolTypeRouter, URLRouter  # Django has to be set up first
from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from config import http  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": http.outermost(http.bounded(django_application)),
        "websocket": URLRouter([]),
    }
)
