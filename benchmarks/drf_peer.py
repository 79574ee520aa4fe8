"""A Django project as `startproject` makes it, with one DRF view, served by uvicorn as Baton is: no rights, no rows."""

import sys

if __name__ == "__main__":
    import django
    import uvicorn
    from django.conf import settings

    settings.configure(
        SECRET_KEY="measured",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF="benchmarks.drf_peer",
        USE_TZ=True,
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.staticfiles",
            "rest_framework",
        ],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
        REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": [], "UNAUTHENTICATED_USER": None},
    )
    django.setup()
    from django.core.asgi import get_asgi_application

    uvicorn.run(
        get_asgi_application(),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
    )

from typing import Any

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

ANSWER: dict[str, Any] = {
    "plan": {"instruction_text": "x" * 60, "points": [{"x_m": 1.0, "y_m": 2.0}] * 16},
    "warnings": [],
    "hole_state": "y" * 600,
}


class Bare(APIView):
    """`POST /bare`"""

    def post(self, request: Request) -> Response:
        """200, of the size of a plan."""
        return Response({**ANSWER, "request_id": request.data.get("request_id", "")})


urlpatterns = [path("bare", Bare.as_view())]
