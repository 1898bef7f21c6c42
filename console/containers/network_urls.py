from __future__ import annotations

from django.urls import path

import console.lib.converters  # noqa: F401  registers network_id
from console.containers import network_views as views

_ONE = "<uuid:host_id>/<network_id:network_id>/"

urlpatterns = [
    path("", views.network_list, name="network-list"),
    path("create/", views.network_create, name="network-create"),
    path(_ONE, views.network_detail, name="network-detail"),
    path(f"{_ONE}remove/", views.network_remove, name="network-remove"),
    path(f"{_ONE}assign/", views.network_assign, name="network-assign"),
]
