"""Kept logs, below /logs/."""

from __future__ import annotations

from django.urls import URLPattern, path

import console.lib.converters  # noqa: F401  registers full_id
from console.logs import views

urlpatterns: list[URLPattern] = [
    path("", views.kept_log_list, name="kept-log-list"),
    path("of/<uuid:host_id>/<full_id:container_id>/", views.kept_log_of, name="kept-log-of"),
    path("<uuid:log_id>/", views.kept_log, name="kept-log"),
    path("<uuid:log_id>/download/", views.kept_log_download, name="kept-log-download"),
]
