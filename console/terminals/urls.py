from __future__ import annotations

from django.urls import URLPattern, path

from console.terminals import file_views, views

urlpatterns: list[URLPattern] = [
    path("tickets/", views.terminal_ticket, name="terminal-ticket"),
    path("logs/download/", views.logs_download, name="logs-download"),
    path("files/place/", file_views.file_place, name="file-place"),
    path("files/about/", file_views.file_about, name="file-about"),
    path("files/download/", file_views.file_download, name="file-download"),
    # console/asgi.py hands the body of this one over while it comes.
    path("files/upload/", file_views.file_upload, name="file-upload"),
]
