from __future__ import annotations

from django.urls import URLPattern, path

from console.terminals.consumers import StatsConsumer
from console.terminals.log_consumer import LogsConsumer
from console.terminals.terminal_consumer import TerminalConsumer

websocket_urlpatterns: list[URLPattern] = [
    path("ws/terminal/", TerminalConsumer.as_asgi()),
    path("ws/logs/", LogsConsumer.as_asgi()),
    path("ws/stats/", StatsConsumer.as_asgi()),
]
