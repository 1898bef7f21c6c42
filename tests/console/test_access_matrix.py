"""Who may ask what of which address: every route there is, times everybody.

A route that nobody has entered here fails, and so does an entry without a route. Refusals are proved by what did *not*
happen: nothing reached the engine, nothing was written but the record of the refusal.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import reverse

from console.accounts.models import TokenScope
from console.audit.models import AuditEvent
from console.operations.models import Operation
from tests.console.tokens import issue, program
from tests.console.world import (
    ANONYMOUS,
    BAD,
    BOOKKEEPING,
    DENY,
    HIDE,
    LOGIN,
    OK,
    PASSES,
    PASSWORD,
    PEOPLE,
    READS,
    RECORD,
    WHOSE,
    Row,
    Witness,
    World,
    alike,
    build,
    expected,
    one_engine,
    routes,
    row,
    undone,
)

pytestmark = pytest.mark.django_db

_NEXT: Final = "another horse battery"
_CONTAINER: Final = {"host": "{host_id}", "container": "{container_id}"}
_NEW_CONTAINER: Final = {"team": "{team_id}", "host": "{host_id}", "image": "starter:latest", "name": "new-1"}
_NEW_PERSON: Final = {"username": "newcomer", "password": PASSWORD, "password_again": PASSWORD}
_INVITATION: Final = {"note": "x", "role": "user", "team_role": "member", "days": "3"}
_HOST: Final = {"name": "quay", "driver": "docker", "security": "socket", "url": "unix:///nowhere/quay.sock"}

# fmt: off
EXPECT: Final[Mapping[str, Row]] = {
    #                                   anon.  strang viewer member owner  audit. admin  susp.
    # The first page and the search
    "overview GET":                 row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "search GET":                   row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN,
        form={"q": "red"}),
    "search-actions GET":           row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    # Hosts: the one there is was given to red and to blue
    "host-list GET":                row(LOGIN, DENY,  DENY,  DENY,  DENY,  OK,    OK,    LOGIN),
    "host-add GET":                 row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "host-add POST":                row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form=_HOST),
    "host-filter GET":              row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "host-test-new POST":           row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form=_HOST),
    "host-detail GET":              row(LOGIN, DENY,  DENY,  DENY,  DENY,  OK,    OK,    LOGIN),
    "host-edit GET":                row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "host-edit POST":               row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form=_HOST),
    "host-test POST":               row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "host-remove GET":              row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "host-remove POST":             row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form={"confirmation": "{host_name}"}),
    # Containers
    "container-list GET":           row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "container-facets GET":         row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "container-facet GET":          row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN,
        name="state"),
    "container-bulk POST":          row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        verb="stop", form={"ids": "{host_id}/{container_id}"}, hidden_as=302, of=("red",)),
    "container-create GET":         row(LOGIN, OK,    DENY,  OK,    OK,    DENY,  OK,    LOGIN),
    "container-create POST":        row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        form=_NEW_CONTAINER, hidden_as=422, of=("red",)),
    "container-preview POST":       row(LOGIN, OK,    DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        form=_NEW_CONTAINER, of=("red",)),
    "container-choices GET":        row(LOGIN, OK,    DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        form={"host": "{host_id}"}),
    "container-detail GET":         row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "container-header GET":         row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "container-row GET":            row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "container-menu GET":           row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "container-look GET":           row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "container-live GET":           row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "container-stats GET":          row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "container-activity GET":       row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "container-logs GET":           row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "container-logs-merged GET":    row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN,
        form={"ids": "{host_id}/{container_id}"}),
    "container-configuration GET":  row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "container-inspect GET":        row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "container-terminal GET":       row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN),
    "container-reveal POST":        row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        form={"kind": "environment", "name": "API_TOKEN"}),
    "container-start POST":         row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN),
    "container-stop POST":          row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN),
    "container-restart POST":       row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN),
    "container-pause POST":         row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN),
    "container-unpause POST":       row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN),
    "container-kill GET":           row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN),
    "container-kill POST":          row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        form={"signal": "SIGKILL"}),
    "container-rename GET":         row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN),
    "container-rename POST":        row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        form={"name": "other-1"}),
    "container-remove GET":         row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN),
    "container-remove POST":        row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        form={"force": "1"}),
    "container-assign GET":         row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "container-assign POST":        row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form={"team": ""}),
    # Recordings of somebody else: who owns the team watches them, and who oversees everything
    "recording-list GET":           row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "recording-detail GET":         row(LOGIN, HIDE,  HIDE,  HIDE,  OK,    OK,    OK,    LOGIN),
    "recording-content GET":        row(LOGIN, HIDE,  HIDE,  HIDE,  OK,    OK,    OK,    LOGIN),
    "recording-search GET":         row(LOGIN, HIDE,  HIDE,  HIDE,  OK,    OK,    OK,    LOGIN,
        form={"q": "hello"}),
    "recording-download POST":      row(LOGIN, HIDE,  HIDE,  HIDE,  OK,    OK,    OK,    LOGIN),
    "recording-verify POST":        row(LOGIN, HIDE,  HIDE,  HIDE,  OK,    OK,    OK,    LOGIN),
    # Images
    "image-list GET":               row(LOGIN, DENY,  DENY,  DENY,  DENY,  OK,    OK,    LOGIN),
    "image-pull GET":               row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "image-pull POST":              row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form={"host": "{host_id}", "reference": "demo:latest"}),
    "image-detail GET":             row(LOGIN, DENY,  DENY,  DENY,  DENY,  OK,    OK,    LOGIN),
    "image-configuration GET":      row(LOGIN, DENY,  DENY,  DENY,  DENY,  OK,    OK,    LOGIN),
    "image-tag GET":                row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "image-tag POST":               row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form={"reference": "demo:two"}),
    "image-remove POST":            row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    # Volumes and networks
    "volume-list GET":              row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "volume-create GET":            row(LOGIN, OK,    DENY,  OK,    OK,    DENY,  OK,    LOGIN),
    "volume-create POST":           row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        form={"team": "{team_id}", "host": "{host_id}", "name": "cargo"}, hidden_as=422, of=("red",)),
    "volume-detail GET":            row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN,
        name="{volume_name}"),
    "volume-remove GET":            row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        name="{volume_name}"),
    "volume-remove POST":           row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        name="{volume_name}", form={"confirmation": "{volume_name}"}),
    "volume-assign GET":            row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        name="{volume_name}"),
    "volume-assign POST":           row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        name="{volume_name}", form={"team": ""}),
    "network-list GET":             row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "network-create GET":           row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "network-create POST":          row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form={"host": "{host_id}", "name": "canal"}),
    "network-detail GET":           row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "network-remove GET":           row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "network-remove POST":          row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form={"confirmation": "{network_name}"}),
    "network-assign GET":           row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "network-assign POST":          row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form={"team": ""}),
    # Terminals and logs
    "terminal-ticket POST":         row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        form=_CONTAINER),
    "logs-download GET":            row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN,
        form=_CONTAINER),
    "logs-search GET":              row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN,
        form={**_CONTAINER, "q": "x"}),
    "file-place GET":               row(LOGIN, HIDE,  HIDE,  OK,    HIDE,  HIDE,  HIDE,  LOGIN,
        form={"session": "{terminal_id}"}, passes=True),
    "file-about GET":               row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        form=_CONTAINER | {"path": "/etc/passwd"}, passes=True),
    "file-download POST":           row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        form=_CONTAINER | {"path": "/etc/passwd"}, passes=True),
    "file-upload POST":             row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        query=_CONTAINER | {"folder": "/tmp", "name": "x", "overwrite": "1"}, passes=True),
    # The terminal is the member's
    "terminal-list GET":            row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "terminal-waiting GET":         row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "terminal-share GET":           row(LOGIN, HIDE,  HIDE,  OK,    DENY,  DENY,  DENY,  LOGIN),
    "terminal-share POST":          row(LOGIN, HIDE,  HIDE,  OK,    DENY,  DENY,  DENY,  LOGIN,
        form={"person": "{person_id}", "role": "watch"}),
    "terminal-people GET":          row(LOGIN, HIDE,  HIDE,  OK,    DENY,  DENY,  DENY,  LOGIN),
    "terminal-unshare POST":        row(LOGIN, HIDE,  HIDE,  OK,    DENY,  DENY,  DENY,  LOGIN),
    "terminal-hand-over GET":       row(LOGIN, HIDE,  HIDE,  OK,    DENY,  DENY,  DENY,  LOGIN),
    "terminal-hand-over POST":      row(LOGIN, HIDE,  HIDE,  OK,    DENY,  DENY,  DENY,  LOGIN,
        form={"person": "{person_id}"}),
    "terminal-end POST":            row(LOGIN, HIDE,  HIDE,  OK,    OK,    DENY,  OK,    LOGIN),
    "terminal-lock POST":           row(LOGIN, HIDE,  HIDE,  DENY,  OK,    DENY,  OK,    LOGIN),
    "terminal-unlock POST":         row(LOGIN, HIDE,  HIDE,  DENY,  OK,    DENY,  OK,    LOGIN),
    "terminal-message GET":         row(LOGIN, HIDE,  HIDE,  DENY,  OK,    DENY,  OK,    LOGIN),
    "terminal-message POST":        row(LOGIN, HIDE,  HIDE,  DENY,  OK,    DENY,  OK,    LOGIN,
        form={"text": "hello"}),
    # The request is the member's too
    "shell-ask GET":                row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN),
    "shell-ask POST":               row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        form={"reason": "x", "minutes": "30"}),
    "shell-approve GET":            row(LOGIN, HIDE,  HIDE,  DENY,  OK,    DENY,  OK,    LOGIN),
    "shell-approve POST":           row(LOGIN, HIDE,  HIDE,  DENY,  OK,    DENY,  OK,    LOGIN,
        form={"minutes": "20"}),
    "shell-deny POST":              row(LOGIN, HIDE,  HIDE,  DENY,  OK,    DENY,  OK,    LOGIN),
    "shell-withdraw POST":          row(LOGIN, HIDE,  HIDE,  OK,    DENY,  DENY,  DENY,  LOGIN),
    # Kept logs
    "kept-log-list GET":            row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "kept-log GET":                 row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "kept-log-download GET":        row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "kept-log-of GET":              row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    # Operations
    "activity GET":                 row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "operation-indicator GET":      row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "notifications GET":            row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "notifications-seen POST":      row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN,
        form={"until": "2026-01-01T00:00:00Z"}),
    "operation-detail GET":         row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "operation-panel GET":          row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "operation-cancel POST":        row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN),
    "operation-retry POST":         row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN,
        operation_id="{ended_operation_id}"),
    # People
    "people-list GET":              row(LOGIN, DENY,  DENY,  DENY,  DENY,  OK,    OK,    LOGIN),
    "person-invite GET":            row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "person-invite POST":           row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form=_INVITATION),
    "invitation-revoke POST":       row(LOGIN, HIDE,  HIDE,  HIDE,  OK,    DENY,  OK,    LOGIN),
    "person-change-role POST":      row(LOGIN, HIDE,  HIDE,  HIDE,  HIDE,  DENY,  OK,    LOGIN,
        form={"role": "auditor"}),
    "person-suspend POST":          row(LOGIN, HIDE,  HIDE,  HIDE,  HIDE,  DENY,  OK,    LOGIN),
    "person-restore POST":          row(LOGIN, HIDE,  HIDE,  HIDE,  HIDE,  DENY,  OK,    LOGIN),
    "person-revoke-tokens POST":    row(LOGIN, HIDE,  HIDE,  HIDE,  HIDE,  DENY,  OK,    LOGIN),
    "person-reset-second-factor POST": row(LOGIN, HIDE, HIDE, HIDE, HIDE,  DENY,  OK,    LOGIN),
    "group-list GET":               row(LOGIN, DENY,  DENY,  DENY,  DENY,  OK,    OK,    LOGIN),
    "group-map GET":                row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "group-map POST":               row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form={"source": "oidc", "group": "rowers", "team": "{empty_team_id}", "role": "member"}),
    "group-unmap POST":             row(LOGIN, HIDE,  HIDE,  HIDE,  HIDE,  DENY,  OK,    LOGIN),
    # Teams
    "team-list GET":                row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "team-create GET":              row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "team-create POST":             row(LOGIN, DENY,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form={"name": "mauve"}),
    "team-detail GET":              row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "team-rename GET":              row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "team-rename POST":             row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form={"name": "mauve"}),
    "team-remove GET":              row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "team-remove POST":             row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        team_id="{empty_team_id}", form={"confirmation": "{empty_team_name}"}),
    "team-invite GET":              row(LOGIN, HIDE,  DENY,  DENY,  OK,    DENY,  OK,    LOGIN),
    "team-invite POST":             row(LOGIN, HIDE,  DENY,  DENY,  OK,    DENY,  OK,    LOGIN,
        form=_INVITATION),
    "team-leave POST":              row(LOGIN, HIDE,  OK,    OK,    OK,    HIDE,  HIDE,  LOGIN),
    "team-change-role POST":        row(LOGIN, HIDE,  DENY,  DENY,  OK,    DENY,  OK,    LOGIN,
        form={"role": "viewer"}),
    "team-remove-member POST":      row(LOGIN, HIDE,  DENY,  DENY,  OK,    DENY,  OK,    LOGIN),
    "team-grant-host GET":          row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "team-grant-host POST":         row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form={"host": "{spare_host_id}"}),
    "team-revoke-host POST":        row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "team-edit-quota GET":          row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "team-edit-quota POST":         row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form={"containers": "5"}),
    "policy-detail GET":            row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "policy-edit GET":              row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN),
    "policy-edit POST":             row(LOGIN, HIDE,  DENY,  DENY,  DENY,  DENY,  OK,    LOGIN,
        form={"images": "*", "memory": "64 MB", "cpus": "1", "pids": "64", "disk": "1 GB", "based_on": "1",
              "shell_idle_minutes": "0", "shell_hours": "0", "shells_at_once": "5", "recording": "off",
              "recording_days": "30", "log_days": "0", "log_kept": "1 MB"}),
    # Links that let people in; that of the first admin is spent as soon as there is one
    "invitation GET":               row(OK,    OK,    OK,    OK,    OK,    OK,    OK,    OK,
        token="{invitation_token}"),
    "invitation POST":              row(OK,    OK,    OK,    OK,    OK,    OK,    OK,    OK,
        token="{invitation_token}", form=_NEW_PERSON),
    "first-admin GET":              row(HIDE,  HIDE,  HIDE,  HIDE,  HIDE,  HIDE,  HIDE,  HIDE,
        token="{first_admin_token}"),
    "first-admin POST":             row(HIDE,  HIDE,  HIDE,  HIDE,  HIDE,  HIDE,  HIDE,  HIDE,
        token="{first_admin_token}", form=_NEW_PERSON),
    # The record
    "audit-list GET":               row(LOGIN, DENY,  DENY,  DENY,  DENY,  OK,    OK,    LOGIN),
    "audit-export POST":            row(LOGIN, DENY,  DENY,  DENY,  DENY,  OK,    OK,    LOGIN,
        form={"format": "csv"}),
    "audit-verify POST":            row(LOGIN, DENY,  DENY,  DENY,  DENY,  OK,    OK,    LOGIN),
    # One's own settings, and the ways in and out
    "settings GET":                 row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "profile-edit POST":            row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN,
        form={"name": "X", "email": ""}),
    "password-change POST":         row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN,
        form={"current": PASSWORD, "password": _NEXT, "password_again": _NEXT}),
    "session-end POST":             row(LOGIN, HIDE,  HIDE,  HIDE,  OK,    HIDE,  HIDE,  LOGIN),
    "session-end-others POST":      row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "token-create POST":            row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN,
        form={"name": "robot", "scope": "read", "days": "7"}),
    "token-revoke POST":            row(LOGIN, HIDE,  HIDE,  HIDE,  OK,    HIDE,  HIDE,  LOGIN),
    # A second factor, proofs, and other ways to sign in; no provider is set up here
    "second-factor GET":            row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "second-factor-app GET":        row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "second-factor-app POST":       row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "second-factor-app-remove POST": row(LOGIN, OK, OK, OK, OK, OK, OK, LOGIN),
    "second-factor-key-add GET":    row(LOGIN, BAD, BAD, BAD, BAD, BAD, BAD, LOGIN),
    "second-factor-key-add POST":   row(LOGIN, BAD, BAD, BAD, BAD, BAD, BAD, LOGIN),
    "second-factor-key-options POST": row(LOGIN, BAD, BAD, BAD, BAD, BAD, BAD, LOGIN),
    "second-factor-key-rename GET": row(LOGIN, HIDE, HIDE, HIDE, HIDE, HIDE, HIDE, LOGIN),
    "second-factor-key-rename POST": row(LOGIN, HIDE, HIDE, HIDE, HIDE, HIDE, HIDE, LOGIN,
        form={"name": "red key"}),
    "second-factor-key-remove POST": row(LOGIN, HIDE, HIDE, HIDE, HIDE, HIDE, HIDE, LOGIN),
    "second-factor-recovery-codes POST": row(LOGIN, OK, OK, OK, OK, OK, OK, LOGIN),
    "second-factor-off POST":       row(LOGIN, OK, OK, OK, OK, OK, OK, LOGIN),
    "confirm GET":                  row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "confirm POST":                 row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN,
        form={"password": PASSWORD}),
    "confirm-key POST":             row(LOGIN, BAD, BAD, BAD, BAD, BAD, BAD, LOGIN),
    "second-step GET":              row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "second-step POST":             row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "second-step-key POST":         row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "connection-add POST":          row(LOGIN, HIDE,  HIDE,  HIDE,  HIDE,  HIDE,  HIDE,  LOGIN),
    "connection-add-directory POST": row(LOGIN, HIDE, HIDE,  HIDE,  HIDE,  HIDE,  HIDE,  LOGIN),
    "connection-remove POST":       row(LOGIN, HIDE,  HIDE,  HIDE,  OK,    HIDE,  HIDE,  LOGIN),
    "oidc-start POST":              row(HIDE,  HIDE,  HIDE,  HIDE,  HIDE,  HIDE,  HIDE,  HIDE),
    "oidc-callback GET":            row(HIDE,  HIDE,  HIDE,  HIDE,  HIDE,  HIDE,  HIDE,  HIDE),
    "preference-theme POST":        row(OK,    OK,    OK,    OK,    OK,    OK,    OK,    OK,
        form={"theme": "dark", "next": "/people/"}),
    "preference-language POST":     row(OK,    OK,    OK,    OK,    OK,    OK,    OK,    OK,
        form={"language": "ko", "next": "/people/"}),
    "account_login GET":            row(OK,    OK,    OK,    OK,    OK,    OK,    OK,    OK),
    "account_login POST":           row(OK,    OK,    OK,    OK,    OK,    OK,    OK,    OK,
        form={"login": "bystander", "password": PASSWORD}),
    "account_logout POST":          row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    # For everybody
    "javascript-catalog GET":       row(OK,    OK,    OK,    OK,    OK,    OK,    OK,    OK),
    "healthz GET":                  row(OK,    OK,    OK,    OK,    OK,    OK,    OK,    OK),
    "readyz GET":                   row(OK,    OK,    OK,    OK,    OK,    OK,    OK,    OK),
}
# fmt: on


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """One world for all: each question is undone."""
    from django.db import transaction

    with django_db_blocker.unblock(), one_engine() as engine, transaction.atomic():
        yield build(engine)
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def _alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.lib.health._parts", lambda: {"web": "alive", "database": "alive"})
    monkeypatch.setattr("console.lib.health._kept", {})


def address(name: str, *, things: Mapping[str, str]) -> str:
    """The address called ``name`` of one of ``things``."""
    missing = [part for part in ROUTES[name] if part not in things]
    assert not missing, f"“{name}” asks for {missing}: put one into the things of tests/console/world.py"
    return reverse(name, kwargs={part: things[part] for part in ROUTES[name]})


def ask(browser: Client, key: str, *, things: Mapping[str, str], more: Mapping[str, str] | None = None) -> Any:
    """Send what the row says, about ``things``, and ``more``."""
    name, method = key.split()
    wanted = EXPECT[key]
    url = address(name, things={**things, **{part: value.format(**things) for part, value in wanted.url.items()}})
    form = {name: value.format(**things) for name, value in wanted.form.items()} | dict(more or {})
    if wanted.query:
        query = urlencode({name: value.format(**things) for name, value in wanted.query.items()})
        return browser.generic(method, f"{url}?{query}", b"x", content_type="application/octet-stream")
    return getattr(browser, method.lower())(url, form)


ROUTES: Final = routes()
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
#: Ids of what a team owns: about these, somebody else's people are strangers.
_OWNED: Final = (
    *("container_id", "volume_name", "network_id", "operation_id", "team_id", "invitation_id"),
    *("terminal_id", "approval_id"),
)
#: A form too large for an address, which changes nothing.
_READS_BY_POST: Final = frozenset({"container-preview POST"})
#: Parts of addresses that are no ids.
_SOME_TEXT: Final = {"name": "state", "verb": "stop", "token": "x"}
#: A program's headers; refusals are JSON for it, which takes less time than a page.
_PROGRAM: Final = {"Accept": "application/json"}
_EVERYWHERE: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def about(key: str, *, world: World) -> list[str]:
    """Whose things the row can be asked about: others than red's only where it matters, and where there are any."""
    name, _method = key.split()
    wanted = EXPECT[key]
    parameters = [*wanted.form.values(), *wanted.query.values()]
    text = " ".join([*(wanted.url.get(part, f"{{{part}}}") for part in ROUTES[name]), *parameters])
    parts = set(re.findall(r"{(\w+)}", text))
    others = [whose for whose in wanted.of if whose != "red" and parts <= world.things[whose].keys()]
    return ["red", *others] if any(part.endswith(_OWNED) for part in parts) else ["red"]


def seen(key: str, answer: HttpResponseBase, witness: Witness) -> str:
    """What an answer is, in a word of the table."""
    leads_in = answer.status_code == HTTPStatus.FOUND and answer["Location"].startswith(reverse("account_login"))
    if answer.status_code == HTTPStatus.UNAUTHORIZED or (leads_in and not witness.tables & RECORD):
        return LOGIN  # who signs out is led there too, but that is on record
    if answer.status_code == HTTPStatus.FORBIDDEN:
        return DENY
    if answer.status_code == EXPECT[key].hidden_as and not witness.tables - BOOKKEEPING:
        return HIDE
    return OK if answer.status_code < HTTPStatus.BAD_REQUEST else str(answer.status_code)


def troubles(key: str, who: str, *, whose: str, world: World) -> Iterator[str]:
    """Ask once, as a browser about red's and as a program about the others'; say what is not as it must be."""
    things, wanted = world.things[whose], expected(EXPECT[key].answers, who, whose=whose)
    options: dict[str, Any] = {} if whose == "red" else {"headers": _PROGRAM}
    browser = world.browser(who, **options)
    with undone(world) as witness:
        denied = AuditEvent.objects.filter(outcome="denied").count()
        answer = ask(browser, key, things=things)
        calls, tables = witness.calls, witness.tables - BOOKKEEPING
        refusals = list(AuditEvent.objects.filter(outcome="denied").order_by("-sequence")[denied:])
    found = seen(key, answer, witness)
    if found != wanted:
        yield f"got {found} instead of {wanted}"
    may_ask = PASSES if EXPECT[key].passes else READS
    if any(not may_ask.fullmatch(call) for call in calls):
        yield f"had the web process change something in the engine: {calls}"
    if found != OK and calls:
        yield f"was refused, and yet this reached the engine: {calls}"
    may_write = RECORD if found == DENY else frozenset()
    if (found != OK or key.endswith(" GET")) and tables - may_write:
        yield f"wrote to {sorted(tables - may_write)}"
    if found == DENY and [refusal.actor_name for refusal in refusals] != [who]:
        yield "was denied without a row of the record"
    for name, value in _EVERYWHERE.items():
        if answer.headers.get(name) != value:
            yield f"lacks the header {name}: {value}"
    if "no-store" not in answer.headers.get("Cache-Control", ""):
        yield "may be kept by a cache"
    if found == HIDE:
        with undone(world):
            nothing = ask(browser, key, things=world.never)
        if alike(answer, things=things, never=world.never) != alike(nothing, things=things, never=world.never):
            yield "can tell it from what never was"


@pytest.mark.parametrize("name", ROUTES)
def test_everybody_is_answered_as_the_table_says(name: str, world: World) -> None:
    found = []
    for method in METHODS:
        key = f"{name} {method}"
        if key not in EXPECT:
            continue
        for whose in about(key, world=world):
            # Who is not signed in is led away before it matters whose a thing is.
            for who in PEOPLE if whose == "red" else PEOPLE[1:-1]:
                found += [
                    f"{who} asked {key} about what is {whose}'s and {trouble}"
                    for trouble in troubles(key, who, whose=whose, world=world)
                ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", ROUTES)
def test_a_route_takes_no_method_that_is_not_in_the_table(name: str, world: World) -> None:
    browser = world.browser("admin", headers=_PROGRAM)
    url = address(name, things=_SOME_TEXT | world.things["red"])
    for method in METHODS:
        if f"{name} {method}" in EXPECT:
            continue
        with undone(world) as witness:
            answer = browser.generic(method, url)
            calls = witness.calls
        if method == "HEAD" and f"{name} GET" in EXPECT and answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            continue  # a GET without its content
        if method == "OPTIONS" and answer.status_code == HTTPStatus.OK and not getattr(answer, "content", b""):
            continue  # says which methods there are
        assert answer.status_code == HTTPStatus.METHOD_NOT_ALLOWED, (
            f"Nobody said who may {method} “{name}”. Add to EXPECT in {__file__}, with the right words:\n"
            f'    "{name} {method}": row({", ".join(["LOGIN", *["DENY"] * 6, "LOGIN"])}),'
        )
        assert calls == []
        assert not witness.tables - BOOKKEEPING


def test_every_entry_has_a_route() -> None:
    gone = sorted(key for key in EXPECT if key.split()[0] not in ROUTES)
    assert not gone, f"These are in EXPECT and lead nowhere; take them out: {', '.join(gone)}"


@pytest.mark.parametrize("who", ["admin", ANONYMOUS])
@pytest.mark.parametrize("key", [key for key in EXPECT if not key.endswith(" GET")])
def test_a_form_that_is_not_ours_changes_nothing(key: str, who: str, world: World) -> None:
    mark = secrets.token_hex(16)
    for more, headers in (
        ({}, {}),
        ({"csrfmiddlewaretoken": secrets.token_hex(16)}, {}),
        ({"csrfmiddlewaretoken": mark}, {"Origin": "https://evil.example"}),
        ({"csrfmiddlewaretoken": mark}, {"Origin": "null"}),
        ({}, {"X-CSRFToken": mark, "Origin": "http://testserver.evil.example"}),
    ):
        browser = world.browser(who, enforce_csrf_checks=True, headers={**_PROGRAM, **headers})
        browser.cookies[settings.CSRF_COOKIE_NAME] = mark
        with undone(world) as witness:
            answer = ask(browser, key, things=world.things["red"], more=more)
            calls = witness.calls
        code = answer.json()["code"]
        assert (answer.status_code, code) in ((403, "csrf"), (401, "signed_out")), (more, headers)
        assert who == ANONYMOUS or code == "csrf"
        assert calls == []
        assert not witness.tables - BOOKKEEPING


@pytest.mark.parametrize("key", [key for key in EXPECT if not key.endswith(" GET")])
def test_a_token_that_reads_changes_nothing(key: str, world: World) -> None:
    with undone(world):
        browser = program(issue(world.people["admin"], scope=TokenScope.READ).text)
        with undone(world) as witness:
            answer = ask(browser, key, things=world.things["red"])
            calls = witness.calls
    assert answer.status_code >= HTTPStatus.BAD_REQUEST or key in _READS_BY_POST
    assert calls == []
    assert not witness.tables - BOOKKEEPING - RECORD - {"accounts_apitoken"}


def test_our_own_form_does(world: World) -> None:
    """So that the test above proves something."""
    mark = secrets.token_hex(16)
    browser = world.browser("admin", enforce_csrf_checks=True, headers={"Origin": "http://testserver"})
    browser.cookies[settings.CSRF_COOKIE_NAME] = mark
    with undone(world):
        answer = ask(browser, "team-create POST", things={}, more={"csrfmiddlewaretoken": mark})
    assert answer.status_code == HTTPStatus.FOUND


@pytest.mark.parametrize("name", ROUTES)
def test_another_host_name_reaches_nothing(name: str, world: World) -> None:
    browser = world.browser("admin", headers=_PROGRAM)
    url = address(name, things=_SOME_TEXT | world.things["red"])
    for method in ("GET", "POST"):
        with undone(world) as witness:
            answer = browser.generic(method, url, headers={"Host": "evil.example"})
            calls = witness.calls
        assert answer.status_code == HTTPStatus.BAD_REQUEST
        assert b"evil.example" not in answer.content
        assert calls == []
        assert not witness.tables


@pytest.mark.parametrize("name", [name for name, parts in ROUTES.items() if set(parts) & {"container_id", "image_id"}])
def test_an_object_of_an_engine_is_named_by_its_full_id_alone(name: str, world: World) -> None:
    things = world.things["red"]
    (part,) = {"container_id", "image_id"} & set(ROUTES[name])
    full = things[part]
    url = address(name, things=things)
    names = (full[:12], full[:4], full.upper(), f"{full} ", f"{full}0", f"sha256:{full}", things["container_name"])
    for other in (*names, f"%2F{things['container_name']}", f"%2e%2e/{full}", f"{full}%00", f"{full}%0a", "*", "%25"):
        for method in ("GET", "POST"):
            # In the name of who may do everything: nobody else gets further.
            with undone(world) as witness:
                answer = world.browser("admin", headers=_PROGRAM).generic(method, url.replace(full, other))
                calls = witness.calls
            assert answer.status_code == HTTPStatus.NOT_FOUND, (method, other)
            assert calls == []
            assert not witness.tables - BOOKKEEPING


@pytest.mark.parametrize(
    "name", [name for name, parts in ROUTES.items() if any(part.endswith("_id") for part in parts)]
)
def test_what_is_no_id_of_ours_is_not_found(name: str, world: World) -> None:
    things = world.things["red"]
    for part in ROUTES[name]:
        whole = _SOME_TEXT | things
        url = address(name, things=whole)
        for other in ("1", "0", "-1", "9" * 30, "x", f"{{{whole[part]}}}", whole[part].replace("-", "") + "0", "null"):
            with undone(world) as witness:
                answer = world.browser("admin", headers=_PROGRAM).generic("GET", url.replace(whole[part], other))
            # With a number of a session an address is right, and the method wrong.
            assert answer.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED), (part, other)
            assert not witness.tables - BOOKKEEPING


#: What has read other people's columns elsewhere, when a filter handed its name on to the database.
_TRAVERSALS: Final = (
    "team=TEAM&team_id=TEAM&team__name=red&owner=OWNER&user=OWNER&fields=env&fields=*&expand=team&include=deleted&as=admin",
    "owner__email__startswith=a&actor__password__startswith=a&host__credentials__contains=a&all=1&everything=true",
    "ordering=owner__password&order_by=-password&sort=team__name&page_size=100000&limit=1000000&offset=0&q=_",
    "sort=-pk&page=999999&q=%25&state=anything&label=%3D&kind=container.start&person=admin&before=0",
    "sort=actor__password&page=-1&q=%25%27&search=%25&state=%00&host=TEAM",
    "page=1e9&q=%00&host=x&team=%27",
)


@pytest.mark.parametrize("name", [name for name, parts in ROUTES.items() if not parts and f"{name} GET" in EXPECT])
def test_no_parameter_shows_a_stranger_more(name: str, world: World) -> None:
    """Neither rows of others, nor their number: the page says nothing of red or of nobody's things."""
    browser = world.browser("stranger")
    theirs = [world.things[whose][part] for whose in ("red", "nobody") for part in ("container_id", "operation_id")]
    secrets_ = [text.encode() for text in (*theirs, ">red<", "red-1<", "nobody-1", "another-red")]
    for query in _TRAVERSALS:
        asked = query.replace("TEAM", world.things["red"]["team_id"]).replace("OWNER", str(world.people["owner"].pk))
        with undone(world):
            answer = browser.get(f"{reverse(name)}?{asked}")
        assert answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR, asked
        assert not [secret for secret in secrets_ if secret in answer.content], asked


def test_a_stranger_searches_and_counts_what_is_theirs(world: World) -> None:
    browser = world.browser("stranger")
    with undone(world):
        page = browser.get(reverse("container-list")).content.decode()
        assert "1–1 of 1" in page
        for text in ("red", "red-1", world.things["red"]["container_id"][:12], "nobody"):
            assert "blue-1" not in browser.get(reverse("container-list"), {"q": text}).content.decode()
            assert f"{text}-1" not in browser.get(reverse("search"), {"q": text}).content.decode()
        facets = browser.get(reverse("container-facets")).content.decode()
    assert re.findall(r'class="count">(\d+)<', facets) == ["1"] * facets.count('class="count"')


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "remove"])
@pytest.mark.parametrize("who", ["stranger", "member", "owner"])
def test_many_at_once_are_all_or_none(verb: str, who: str, world: World) -> None:
    mine, others = ("blue", ("red", "nobody")) if who == "stranger" else ("red", ("blue", "nobody"))
    key = {whose: "{host_id}/{container_id}".format(**world.things[whose]) for whose in WHOSE}
    url = reverse("container-bulk", kwargs={"verb": verb})
    for other in others:
        for ids in ([key[mine], key[other]], [key[other], key[mine]], [key[other]], [*[key[mine]] * 3, key[other]]):
            with undone(world) as witness:
                answer = world.browser(who).post(url, {"ids": ids}, follow=True)
                calls = witness.calls
            assert f"{other}-1" not in answer.content.decode()
            assert not witness.tables - BOOKKEEPING
            assert calls == []
    with undone(world):
        before = set(Operation.objects.values_list("pk", flat=True))
        world.browser(who).post(url, {"all": "1"})
        made = Operation.objects.exclude(pk__in=before)
        assert {operation.object_name for operation in made} == {f"{mine}-1"}


def test_credentials_that_nobody_types_are_refused_wherever_they_are_asked_for(world: World) -> None:
    for key in ("account_login POST", "first-admin POST", "invitation POST", "password-change POST"):
        who = "member" if key.startswith("password") else ANONYMOUS
        for field in EXPECT[key].form:
            for value in ("x" * 4097, "x" * 1_000_000, "고" * 1366, "a\0b", "\0"):
                with undone(world) as witness:
                    answer = ask(world.browser(who), key, things=world.things["red"], more={field: value})
                # The link of the first admin is dead, whatever comes with it.
                assert answer.status_code == (404 if key.startswith("first-admin") else 400), (key, field, len(value))
                assert not witness.tables - BOOKKEEPING
