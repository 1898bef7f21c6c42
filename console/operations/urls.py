from __future__ import annotations

from django.urls import path

from console.operations import views

_ONE = "operations/<uuid:operation_id>/"

urlpatterns = [
    path("activity/", views.activity, name="activity"),
    path("operations/running/", views.operation_indicator, name="operation-indicator"),
    path("operations/notifications/", views.notifications, name="notifications"),
    path("operations/notifications/seen/", views.notifications_seen, name="notifications-seen"),
    path(_ONE, views.operation_detail, name="operation-detail"),
    path(f"{_ONE}panel/", views.operation_panel, name="operation-panel"),
    path(f"{_ONE}cancel/", views.operation_cancel, name="operation-cancel"),
    path(f"{_ONE}retry/", views.operation_retry, name="operation-retry"),
]
