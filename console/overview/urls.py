"""The first page and the search."""

from __future__ import annotations

from django.urls import path

import console.lib.converters  # noqa: F401  registers full_id
from console.overview import views

urlpatterns = [
    path("", views.overview, name="overview"),
    path("search/", views.search, name="search"),
    path("search/<uuid:host_id>/<full_id:container_id>/", views.search_actions, name="search-actions"),
]
