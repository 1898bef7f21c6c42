"""The entry point of the web process: HTTP to Django, sockets to our consumers."""

from __future__ import annotations

import os
from typing import cast

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402  (models need the application set up first)

from console.accounts.sessions import find_user, is_session_valid  # noqa: E402
from console.lib.bodies import BoundedBody, StreamedBody  # noqa: E402
from console.lib.websocket import Application, ExactOrigin, SessionUser  # noqa: E402
from console.routing import websocket_urlpatterns  # noqa: E402

_django = cast("Application", django_application)

application = ProtocolTypeRouter(
    {
        "http": StreamedBody(BoundedBody(_django), streaming=_django, paths=("/terminals/files/upload/",)),
        "websocket": ExactOrigin(
            SessionUser(URLRouter(websocket_urlpatterns), find=find_user, is_valid=is_session_valid)
        ),
    }
)
