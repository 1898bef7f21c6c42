"""The policy of a team: what it allows, what it would say of what runs today, and how it came to be."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from console.accounts.models import Team
from console.containers.dry_run import dry_run
from console.containers.requests import person
from console.lib.htmx import is_fragment, redirect
from console.lib.origin import origin_of
from console.people.access import access_team
from console.policies.forms import PolicyForm
from console.policies.models import PolicyVersion
from console.policies.queries import rules_of
from console.policies.rules import Rules
from console.policies.services import Overtaken, save_policy
from console.policies.words import Change, changes, describe
from console.rbac.policy import allowed

_HISTORY: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A version of a policy, and how it differs from the one before."""

    version: PolicyVersion
    changes: list[Change]


def _history(team: Team) -> list[Step]:
    versions = list(team.policy_versions.order_by("-number")[: _HISTORY + 1])
    before = [*(version.rules for version in versions[1:]), Rules()]
    steps = zip(versions, before, strict=False)
    return [Step(version=version, changes=changes(old, version.rules)) for version, old in steps][:_HISTORY]


@require_GET
def policy_detail(request: HttpRequest, team_id: UUID) -> HttpResponse:
    """What the team's containers may be, and since when by whose word."""
    user = person(request)
    team = access_team(user, team_id, "policy.view")
    context = {
        "team": team,
        "rules": describe(rules_of(team.pk)),
        "history": _history(team),
        "may_edit": allowed(user, "policy.edit"),
    }
    return render(request, "policies/policy_detail.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def policy_edit(request: HttpRequest, team_id: UUID) -> HttpResponse:
    """Change the policy; or try first what it would say of what runs today, which changes nothing."""
    user = person(request)
    team = access_team(user, team_id, "policy.edit")
    if request.method != "POST":
        newest = team.policy_versions.order_by("-number").first()
        initial = PolicyForm.initial_of(rules_of(team.pk), number=newest.number if newest is not None else 0)
        return _page(request, team, PolicyForm(initial=initial))
    form = PolicyForm(request.POST)
    if not form.is_valid():
        return _page(request, team, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    if request.POST.get("submit") == "try":
        tried = {"run": dry_run(team, form.rules), "changes": changes(rules_of(team.pk), form.rules)}
        return _page(request, team, form, tried=tried)
    try:
        save_policy(
            actor=user,
            team=team,
            rules=form.rules,
            note=form.cleaned_data["note"],
            based_on=form.cleaned_data["based_on"],
            origin=origin_of(request),
        )
    except Overtaken:
        message = _("Somebody saved another version meanwhile. Look at it in another tab, then reload this page.")
        form.add_error(None, message)
        return _page(request, team, form, status=HTTPStatus.CONFLICT)
    messages.success(request, _("The policy of the team %(team)s is saved.") % {"team": team.name})
    return redirect(request, reverse("policy-detail", args=[team.pk]))


def _page(
    request: HttpRequest,
    team: Team,
    form: PolicyForm,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    tried: dict[str, Any] | None = None,
) -> HttpResponse:
    template = "policies/_edit.html" if is_fragment(request) else "policies/policy_edit.html"
    return render(request, template, {"team": team, "form": form, "tried": tried}, status=status)
