from __future__ import annotations

from django.urls import URLPattern, path

from console.terminals import views

urlpatterns: list[URLPattern] = [
    path("tickets/", views.terminal_ticket, name="terminal-ticket"),
    path("logs/download/", views.logs_download, name="logs-download"),
]
