"""The first page and the search."""

from __future__ import annotations

from django.urls import path

from console.overview import views

urlpatterns = [
    path("", views.overview, name="overview"),
    path("search/", views.search, name="search"),
]
