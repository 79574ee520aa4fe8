"""Every HTTP route on one screen. Raw routes that are served ahead of Django stand in config/asgi.py."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from config import docs, health, session_resource
from devices import views as devices
from gestures import views as captures
from routing.golf import golf_views as golf
from routing.golf.advice_views import GetHoleAdvice
from routing.pod import pod_views
from sessions_app import views
from sessions_app.access import token_views
from sessions_app.state import state_views

handler400 = "config.errors.bad_request"
handler403 = "config.errors.forbidden"
handler404 = "config.errors.not_found"
handler500 = "config.errors.defect"

urlpatterns = [
    path("livez", health.Livez.as_view()),
    path("readyz", health.Readyz.as_view()),
    path("health", health.Health.as_view()),
    # Signing in
    path("auth/token", token_views.IssueToken.as_view()),
    path("auth/refresh", token_views.RefreshPair.as_view()),
    path("auth/revoke", token_views.RevokeLogins.as_view()),
    # Boundaries of a session
    path("session_manager/sessions.start", views.StartSession.as_view()),
    path("session_manager/sessions.end", views.EndSession.as_view()),
    path("session_manager/sessions.validate", views.ValidateSession.as_view()),
    path("schema-recorder/append", views.AppendEvent.as_view()),
    # Documents
    path("schema/", docs.Schema.as_view(), name="schema"),
    path("docs/", docs.Docs.as_view(), name="docs"),
    # State
    path("session/create", pod_views.CreateSession.as_view()),
    path("session/snapshot", state_views.SaveSnapshot.as_view()),
    path("session/incremental", state_views.UpdateState.as_view()),
    path("session/conflict/resolve", state_views.ResolveConflict.as_view()),
    path("session/<str:session_id>", session_resource.SessionResource.as_view()),
    path("session/<str:session_id>/versions", state_views.StateVersions.as_view()),
    path("session/<str:session_id>/diff", state_views.StateDifference.as_view()),
    # Pods and chat; what may wait is served ahead of Django
    path("session/<str:session_id>/wake", pod_views.WakeSession.as_view()),
    path("session/<str:session_id>/sleep", pod_views.SleepSession.as_view()),
    path("session/<str:session_id>/chat", pod_views.ChatWithSession.as_view()),
    path("session/<str:session_id>/messages", pod_views.SessionMessages.as_view()),
    path("session/<str:session_id>/status", pod_views.SessionStatus.as_view()),
    path("sessions", pod_views.ListSessions.as_view()),
    # Devices and handoffs
    path("session/<str:session_id>/devices", devices.Devices.as_view()),
    path("session/<str:session_id>/device/<str:device_id>", devices.Device.as_view()),
    path("session/<str:session_id>/handoff", devices.OfferHandoff.as_view()),
    path("session/<str:session_id>/handoff/<str:token>", devices.AcceptHandoff.as_view()),
    path("session/<str:session_id>/handoffs", devices.Handoffs.as_view()),
    # Captures; the upload is a raw route
    path("camera_feed_worker/captures", captures.Captures.as_view()),
    path("camera_feed_worker/captures/<str:record_id>", captures.Capture.as_view()),
    path("camera_feed_worker/captures/<str:record_id>/features.npz", captures.CaptureFeatures.as_view()),
    # Demo pages, linked from nowhere
    path("demo/session", captures.DemoPage.as_view(template_name="demo/session.html")),
    path("demo/gesture", captures.DemoPage.as_view(template_name="demo/gesture.html")),
    # Golf
    path("api/session/start", golf.StartHole.as_view()),
    path("api/session/set_ball_location", golf.SetBallLocation.as_view()),
    path("api/session/set_cup_location", golf.SetCupLocation.as_view()),
    path("api/session/end", golf.EndHole.as_view()),
    path("api/session/<str:session_id>", golf.ReadHole.as_view()),
    path("api/get_hole_advice", GetHoleAdvice.as_view()),
    path("api/datasets", golf.ListDatasets.as_view()),
    # Staff
    path("admin/broadcast", devices.Broadcast.as_view()),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
]
