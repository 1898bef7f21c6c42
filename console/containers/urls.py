from __future__ import annotations

from django.urls import URLPattern, path

import console.lib.converters  # noqa: F401  registers full_id
from console.containers import action_views, create_views, views

_ONE = "<uuid:host_id>/<full_id:container_id>/"

urlpatterns: list[URLPattern] = [
    path("", views.container_list, name="container-list"),
    path("facets/", views.container_facets, name="container-facets"),
    path("facets/<slug:name>/", views.container_facet, name="container-facet"),
    path("bulk/<slug:verb>/", action_views.container_bulk, name="container-bulk"),
    path("logs/", views.container_logs_merged, name="container-logs-merged"),
    path("create/", create_views.container_create, name="container-create"),
    path("create/preview/", create_views.container_preview, name="container-preview"),
    path("create/choices/", create_views.container_choices, name="container-choices"),
    path(_ONE, views.container_detail, name="container-detail"),
    path(f"{_ONE}header/", views.container_header, name="container-header"),
    path(f"{_ONE}row/", views.container_row, name="container-row"),
    path(f"{_ONE}menu/", views.container_menu, name="container-menu"),
    path(f"{_ONE}look/", views.container_look, name="container-look"),
    path(f"{_ONE}live/", views.container_live, name="container-live"),
    path(f"{_ONE}logs/", views.container_logs, name="container-logs"),
    path(f"{_ONE}terminal/", views.container_terminal, name="container-terminal"),
    path(f"{_ONE}stats/", views.container_stats, name="container-stats"),
    path(f"{_ONE}configuration/", views.container_configuration, name="container-configuration"),
    path(f"{_ONE}inspect/", views.container_inspect, name="container-inspect"),
    path(f"{_ONE}activity/", views.container_activity, name="container-activity"),
    path(f"{_ONE}reveal/", action_views.container_reveal, name="container-reveal"),
    path(f"{_ONE}start/", action_views.container_start, name="container-start"),
    path(f"{_ONE}stop/", action_views.container_stop, name="container-stop"),
    path(f"{_ONE}restart/", action_views.container_restart, name="container-restart"),
    path(f"{_ONE}kill/", action_views.container_kill, name="container-kill"),
    path(f"{_ONE}pause/", action_views.container_pause, name="container-pause"),
    path(f"{_ONE}unpause/", action_views.container_unpause, name="container-unpause"),
    path(f"{_ONE}assign/", action_views.container_assign, name="container-assign"),
    path(f"{_ONE}rename/", action_views.container_rename, name="container-rename"),
    path(f"{_ONE}remove/", action_views.container_remove, name="container-remove"),
]
