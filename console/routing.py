"""Every WebSocket path of the console."""

from __future__ import annotations

from django.urls import URLPattern, re_path

from console.lib.websocket import refuse
from console.operations.routing import websocket_urlpatterns as operations
from console.terminals.routing import websocket_urlpatterns as terminals

websocket_urlpatterns: list[URLPattern] = [
    *operations,
    *terminals,
    re_path("", refuse),  # type: ignore[arg-type]  # an ASGI application, where Django expects a view
]
