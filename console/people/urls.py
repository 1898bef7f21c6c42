"""People and teams, below /people/."""

from __future__ import annotations

from django.urls import path

from console.people import group_views, team_views, views

urlpatterns = [
    path("", views.people_list, name="people-list"),
    path("invite/", views.person_invite, name="person-invite"),
    path("invitations/<uuid:invitation_id>/revoke/", views.invitation_revoke, name="invitation-revoke"),
    path("<uuid:person_id>/role/", views.person_change_role, name="person-change-role"),
    path("<uuid:person_id>/suspend/", views.person_suspend, name="person-suspend"),
    path("<uuid:person_id>/restore/", views.person_restore, name="person-restore"),
    path("<uuid:person_id>/tokens/revoke/", views.person_revoke_tokens, name="person-revoke-tokens"),
    path("<uuid:person_id>/reset-second-factor/", views.person_reset_second_factor, name="person-reset-second-factor"),
    path("groups/", group_views.group_list, name="group-list"),
    path("groups/map/", group_views.group_map, name="group-map"),
    path("groups/<int:mapping_id>/unmap/", group_views.group_unmap, name="group-unmap"),
    path("teams/", team_views.team_list, name="team-list"),
    path("teams/create/", team_views.team_create, name="team-create"),
    path("teams/<uuid:team_id>/", team_views.team_detail, name="team-detail"),
    path("teams/<uuid:team_id>/rename/", team_views.team_rename, name="team-rename"),
    path("teams/<uuid:team_id>/remove/", team_views.team_remove, name="team-remove"),
    path("teams/<uuid:team_id>/invite/", team_views.team_invite, name="team-invite"),
    path("teams/<uuid:team_id>/leave/", team_views.team_leave, name="team-leave"),
    path("teams/<uuid:team_id>/members/<uuid:person_id>/role/", team_views.team_change_role, name="team-change-role"),
    path(
        "teams/<uuid:team_id>/members/<uuid:person_id>/remove/",
        team_views.team_remove_member,
        name="team-remove-member",
    ),
    path("teams/<uuid:team_id>/hosts/grant/", team_views.team_grant_host, name="team-grant-host"),
    path("teams/<uuid:team_id>/hosts/<uuid:host_id>/quota/", team_views.team_edit_quota, name="team-edit-quota"),
    path("teams/<uuid:team_id>/hosts/<uuid:host_id>/revoke/", team_views.team_revoke_host, name="team-revoke-host"),
]
