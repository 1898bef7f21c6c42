from __future__ import annotations

from django.urls import path

import console.lib.converters  # noqa: F401  registers volume_name
from console.containers import volume_views as views

_ONE = "<uuid:host_id>/<volume_name:name>/"

urlpatterns = [
    path("", views.volume_list, name="volume-list"),
    path("create/", views.volume_create, name="volume-create"),
    path(_ONE, views.volume_detail, name="volume-detail"),
    path(f"{_ONE}remove/", views.volume_remove, name="volume-remove"),
    path(f"{_ONE}assign/", views.volume_assign, name="volume-assign"),
]
