from __future__ import annotations

from django.urls import URLPattern, path

from console.terminals import log_views, views

urlpatterns: list[URLPattern] = [
    path("tickets/", views.terminal_ticket, name="terminal-ticket"),
    path("logs/download/", log_views.logs_download, name="logs-download"),
    path("logs/search/", log_views.logs_search, name="logs-search"),
]
