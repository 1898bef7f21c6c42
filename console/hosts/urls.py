"""Hosts, below /hosts/."""

from __future__ import annotations

from django.urls import path

from console.hosts import views

urlpatterns = [
    path("", views.host_list, name="host-list"),
    path("add/", views.host_add, name="host-add"),
    path("filter/", views.host_filter, name="host-filter"),
    path("test/", views.host_test_new, name="host-test-new"),
    path("<uuid:host_id>/", views.host_detail, name="host-detail"),
    path("<uuid:host_id>/edit/", views.host_edit, name="host-edit"),
    path("<uuid:host_id>/test/", views.host_test, name="host-test"),
    path("<uuid:host_id>/remove/", views.host_remove, name="host-remove"),
]
