"""The console's own paths, and a few that fail in every way there is."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path

from console import gateway
from console.lib.crypto import Undecryptable
from console.lib.problems import BadInput, Missing
from console.urls import handler400, handler403, handler404, handler429, handler500
from console.urls import urlpatterns as all_of_ours

__all__ = ["handler400", "handler403", "handler404", "handler429", "handler500", "urlpatterns"]


TROUBLES: dict[str, Exception] = {
    "bug": RuntimeError("password=hunter2 <b>inside</b>"),
    "nothing": Http404("no Container matches the given query"),
    "missing": Missing("This <i>name</i> does not exist."),
    "refused": PermissionDenied(),
    "malformed": SuspiciousOperation("internal words"),
    "bad-input": BadInput("The field <i>name</i> holds a NUL character."),
    "undecryptable": Undecryptable("restore the key"),
}


def trouble(_request: HttpRequest, name: str) -> HttpResponse:
    """Fail in the way that is named."""
    if name in gateway.__all__:
        raise getattr(gateway, name)("<b>the engine</b> said so\r\nand more", reason="port_taken")
    raise TROUBLES[name]


urlpatterns = [path("trouble/<str:name>/", trouble, name="healthz"), *all_of_ours]
