"""A person's own settings, below /settings/."""

from __future__ import annotations

from django.urls import include, path

from console.accounts import connection_views, proof_views, views

urlpatterns = [
    path("", views.settings_page, name="settings"),
    path("profile/", views.profile_edit, name="profile-edit"),
    path("password/", views.password_change, name="password-change"),
    path("confirm/", proof_views.confirm, name="confirm"),
    path("confirm/key/", proof_views.confirm_key, name="confirm-key"),
    path("second-factor/", include("console.accounts.second_factor_urls")),
    path("sessions/<int:session_id>/end/", views.session_end, name="session-end"),
    path("sessions/end-others/", views.session_end_others, name="session-end-others"),
    path("tokens/create/", views.token_create, name="token-create"),
    path("tokens/<uuid:token_id>/revoke/", views.token_revoke, name="token-revoke"),
    path("connections/add/", connection_views.connection_add, name="connection-add"),
    path("connections/add-directory/", connection_views.connection_add_directory, name="connection-add-directory"),
    path("connections/<int:connection_id>/remove/", connection_views.connection_remove, name="connection-remove"),
    path("theme/", views.preference_theme, name="preference-theme"),
    path("language/", views.preference_language, name="preference-language"),
]
