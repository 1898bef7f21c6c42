from __future__ import annotations

from django.urls import URLPattern, path

import console.lib.converters  # noqa: F401  registers full_id
from console.terminals import approval_views, file_views, list_views, log_views, views

_ONE = "<uuid:terminal_id>/"
_REQUEST = "approvals/<uuid:approval_id>/"

urlpatterns: list[URLPattern] = [
    path("", list_views.terminal_list, name="terminal-list"),
    path("waiting/", list_views.terminal_waiting, name="terminal-waiting"),
    path("tickets/", views.terminal_ticket, name="terminal-ticket"),
    path("logs/download/", log_views.logs_download, name="logs-download"),
    path("logs/search/", log_views.logs_search, name="logs-search"),
    path("files/place/", file_views.file_place, name="file-place"),
    path("files/about/", file_views.file_about, name="file-about"),
    path("files/download/", file_views.file_download, name="file-download"),
    # console/asgi.py hands the body of this one over while it comes.
    path("files/upload/", file_views.file_upload, name="file-upload"),
    path(f"{_ONE}share/", list_views.terminal_share, name="terminal-share"),
    path(f"{_ONE}share/<uuid:person_id>/remove/", list_views.terminal_unshare, name="terminal-unshare"),
    path(f"{_ONE}people/", list_views.terminal_people, name="terminal-people"),
    path(f"{_ONE}hand-over/", list_views.terminal_hand_over, name="terminal-hand-over"),
    path(f"{_ONE}end/", list_views.terminal_end, name="terminal-end"),
    path(f"{_ONE}lock/", list_views.terminal_lock, name="terminal-lock"),
    path(f"{_ONE}unlock/", list_views.terminal_unlock, name="terminal-unlock"),
    path(f"{_ONE}message/", list_views.terminal_message, name="terminal-message"),
    path("approvals/ask/<uuid:host_id>/<full_id:container_id>/", approval_views.shell_ask, name="shell-ask"),
    path(f"{_REQUEST}approve/", approval_views.shell_approve, name="shell-approve"),
    path(f"{_REQUEST}deny/", approval_views.shell_deny, name="shell-deny"),
    path(f"{_REQUEST}withdraw/", approval_views.shell_withdraw, name="shell-withdraw"),
]
