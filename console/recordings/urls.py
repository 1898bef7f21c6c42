"""Recordings, below /recordings/."""

from __future__ import annotations

from django.urls import path

from console.recordings import views

urlpatterns = [
    path("", views.recording_list, name="recording-list"),
    path("<uuid:recording_id>/", views.recording_detail, name="recording-detail"),
    path("<uuid:recording_id>/content/", views.recording_content, name="recording-content"),
    path("<uuid:recording_id>/search/", views.recording_search, name="recording-search"),
    path("<uuid:recording_id>/download/", views.recording_download, name="recording-download"),
    path("<uuid:recording_id>/verify/", views.recording_verify, name="recording-verify"),
]
