"""The policy of a team, below /people/teams/<team>/policy/."""

from __future__ import annotations

from django.urls import path

from console.containers import policy_views

urlpatterns = [
    path("", policy_views.policy_detail, name="policy-detail"),
    path("edit/", policy_views.policy_edit, name="policy-edit"),
]
