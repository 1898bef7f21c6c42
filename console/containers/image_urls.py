from __future__ import annotations

from django.urls import path

import console.lib.converters  # noqa: F401  registers full_id
from console.containers import image_views as views

_ONE = "<uuid:host_id>/<full_id:image_id>/"

urlpatterns = [
    path("", views.image_list, name="image-list"),
    path("pull/", views.image_pull, name="image-pull"),
    path(_ONE, views.image_detail, name="image-detail"),
    path(f"{_ONE}configuration/", views.image_configuration, name="image-configuration"),
    path(f"{_ONE}tag/", views.image_tag, name="image-tag"),
    path(f"{_ONE}remove/", views.image_remove, name="image-remove"),
]
