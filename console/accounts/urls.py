"""A person's own settings, below /settings/."""

from __future__ import annotations

from django.urls import path

from console.accounts import views

urlpatterns = [
    path("", views.settings_page, name="settings"),
    path("profile/", views.profile_edit, name="profile-edit"),
    path("password/", views.password_change, name="password-change"),
    path("sessions/<int:session_id>/end/", views.session_end, name="session-end"),
    path("sessions/end-others/", views.session_end_others, name="session-end-others"),
    path("tokens/create/", views.token_create, name="token-create"),
    path("tokens/<uuid:token_id>/revoke/", views.token_revoke, name="token-revoke"),
    path("theme/", views.preference_theme, name="preference-theme"),
    path("language/", views.preference_language, name="preference-language"),
]
