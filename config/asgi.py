"""Where HTTP and sockets part; the raw routes served ahead of Django."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django
from channels.routing import ProtocolTypeRouter, URLRouter  # Django has to be set up first
from django.urls import path, re_path

django.setup(set_prefix=False)

from config import http, lifespan  # noqa: E402
from config.handler import Handler  # noqa: E402
from devices.consumers import device_socket  # noqa: E402
from gestures import consumers, uploads  # noqa: E402
from routing.golf import golf_start  # noqa: E402
from routing.pod import held, pod_views  # noqa: E402
from sessions_app.sockets import handshake  # noqa: E402
from sessions_app.state import state_routes  # noqa: E402

golf_start.prepare()
django_application = Handler()

RAW_ROUTES = {("POST", uploads.PATH): uploads.upload}

# Their answers may wait, which costs Django a thread each.
HELD_ROUTES = (
    held.Route("POST", "/chat", pod_views.ChatWithSession.as_view()),
    held.Route("GET", "/messages", pod_views.SessionMessages.as_view()),
    held.Route("DELETE", "", pod_views.DeleteSession.as_view()),
)

application = ProtocolTypeRouter(
    {
        "http": http.outermost(
            http.for_served_hosts(
                http.routed(
                    RAW_ROUTES,
                    http.bounded(state_routes.ahead_of(held.ahead(HELD_ROUTES, django_application))),
                )
            )
        ),
        "lifespan": lifespan.application,
        "websocket": URLRouter(
            [
                path("ws", device_socket),  # type: ignore[arg-type]  # an ASGI application, no view
                path("ws/capture", consumers.capture_socket),  # type: ignore[arg-type]
                path("camera_feed_worker/capture", consumers.capture_socket),  # type: ignore[arg-type]
                re_path("", handshake.unknown_path),  # type: ignore[arg-type]
            ]
        ),
    }
)
