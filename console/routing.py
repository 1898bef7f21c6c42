"""Every WebSocket path of the console."""

from __future__ import annotations

from console.operations.routing import websocket_urlpatterns as operations
from console.terminals.routing import websocket_urlpatterns as terminals

websocket_urlpatterns = [*operations, *terminals]
