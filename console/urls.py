"""Every HTTP path of the console."""

from __future__ import annotations

from django.urls import include, path
from django.views.i18n import JavaScriptCatalog

urlpatterns = [
    path("", include("console.overview.urls")),
    path("hosts/", include("console.hosts.urls")),
    path("containers/", include("console.containers.urls")),
    path("images/", include("console.containers.image_urls")),
    path("volumes/", include("console.containers.volume_urls")),
    path("networks/", include("console.containers.network_urls")),
    path("terminals/", include("console.terminals.urls")),
    path("logs/", include("console.logs.urls")),
    path("recordings/", include("console.recordings.urls")),
    path("", include("console.operations.urls")),
    path("people/", include("console.people.urls")),
    path("people/teams/<uuid:team_id>/policy/", include("console.containers.policy_urls")),
    path("invitations/", include("console.people.invitation_urls")),
    path("audit/", include("console.audit.urls")),
    path("settings/", include("console.accounts.urls")),
    path("accounts/", include("console.accounts.sign_in_urls")),
    path("jsi18n/", JavaScriptCatalog.as_view(packages=None), name="javascript-catalog"),
    path("", include("console.lib.urls")),
]

handler400 = "console.lib.problems.bad_request"
handler403 = "console.lib.problems.forbidden"
handler404 = "console.lib.problems.not_found"
handler500 = "console.lib.problems.server_error"
#: Not Django's: django-allauth asks for it when a limit bites.
handler429 = "console.lib.problems.too_many_requests"
