"""The HTTP door to advice (advice.md sections 3 and 11)."""

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from routing import advice, bundles
from routing.golf import golf_answers
from routing.golf.advice_record import AdviceRecord
from routing.golf.golf_serializers import GetAdviceIn
from routing.golf.golf_views import GolfEndpoint, position, stimp
from routing.golf.situations import Question
from sessions_app import clock
from sessions_app.access.auth import Caller
from sessions_app.http.openapi import contract


class GetHoleAdvice(GolfEndpoint):
    """`POST /api/get_hole_advice`"""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """An account of the call begins before anything can go wrong."""
        self.record = AdviceRecord()
        super().initial(request, *args, **kwargs)

    @contract(
        body=GetAdviceIn,
        answers={200: "A putt or a shot, or what is missing for one."},
        example={"session_id": "sess_0123456789abcdef", "want_plot": True},
    )
    def post(self, request: Request) -> Response:
        """200 with a plan, if only one that says what is missing."""
        members = self.body(GetAdviceIn)
        question = Question(
            request_id=self.request_id,
            session_id=members.get("session_id"),
            course_id=members.get("course_id"),
            hole_id=members.get("hole_id"),
            ball=position(members.get("ball_wgs84")),
            cup=position(members.get("cup_wgs84")),
            stimp=stimp(members.get("stimp")),
            want_plot=members.get("want_plot", True),
            competition_mode=members.get("competition_mode"),
        )
        situation, plan = advice.advise(question, by=self.caller, record=self.record)
        return Response(golf_answers.advice(situation, plan, version=self.version, request_id=self.request_id))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Every authenticated call leaves a bundle, however it ended (ADV-76)."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if settings.DEBUG_BUNDLE_ENABLED and isinstance(getattr(request, "_user", None), Caller):
            bundles.write(self._bundle(response), request_id=self.request_id)
        return response

    def _bundle(self, response: Response) -> dict[str, Any]:
        body = response.data
        plan = dict(body.get("plan", {}))
        plot = plan.pop("plot", None)
        return {
            "request_id": self.request_id,
            "timestamp_utc": clock.stamp(clock.now()),
            "endpoint": self.request.path,
            "contract_version": self.version,
            "status": response.status_code,
            "user_ref": bundles.user_ref(self.caller.name),
            **self.record.sections(),
            **({"plan": {**plan, **({"plot_points": len(plot["points"])} if plot else {})}} if plan else {}),
            "warnings": body.get("warnings", []),
            **({"error": {"code": body["code"], "detail": body["detail"]}} if "code" in body else {}),
        }
