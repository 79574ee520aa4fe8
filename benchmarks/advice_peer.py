"""The web process of benchmarks.advice: Baton's own, with two bare DRF views beside its routes.

They do what any view would: check the bearer, read a JSON body, answer one of the size of a plan. The second also
counts a rate limit, as every golf endpoint has to.
"""

import os
import sys
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

if __name__ == "__main__":
    import django
    from django.conf import settings

    settings.ROOT_URLCONF = "benchmarks.advice_peer"
    django.setup()
    from config import server

    sys.exit(server.main())

from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response

from benchmarks.drf_peer import ANSWER, Bare
from sessions_app.access import limits
from sessions_app.http.rest import Endpoint


class Limited(Endpoint):
    """`POST /limited`"""

    rate = limits.Rate("advice", "RATE_ADVICE")

    def post(self, request: Request) -> Response:
        """200."""
        return Response({**ANSWER, "request_id": self.members.get("request_id", "")})


handler404: Any = "config.errors.not_found"
urlpatterns = [path("bare", Bare.as_view()), path("limited", Limited.as_view()), path("", include("config.urls"))]
