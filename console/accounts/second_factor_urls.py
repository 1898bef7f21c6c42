"""A person's second factor, below /settings/second-factor/."""

from __future__ import annotations

from django.urls import path

from console.accounts import second_factor_views as views

urlpatterns = [
    path("", views.overview, name="second-factor"),
    path("app/", views.app_add, name="second-factor-app"),
    path("app/remove/", views.app_remove, name="second-factor-app-remove"),
    path("keys/add/", views.key_add, name="second-factor-key-add"),
    path("keys/options/", views.key_options, name="second-factor-key-options"),
    path("keys/<int:key_id>/rename/", views.key_rename, name="second-factor-key-rename"),
    path("keys/<int:key_id>/remove/", views.key_remove, name="second-factor-key-remove"),
    path("recovery-codes/", views.recovery_codes_renew, name="second-factor-recovery-codes"),
    path("off/", views.turn_off, name="second-factor-off"),
]
