"""The ways in and out, below /accounts/. Of django-allauth only the sign-in is mounted."""

from __future__ import annotations

from django.urls import path

from console.accounts import connection_views, proof_views, views

urlpatterns = [
    path("login/", views.sign_in, name="account_login"),
    path("second-step/", proof_views.second_step, name="second-step"),
    path("second-step/key/", proof_views.second_step_key, name="second-step-key"),
    path("logout/", views.sign_out, name="account_logout"),
    path("oidc/", connection_views.oidc_start, name="oidc-start"),
    path("oidc/callback/", connection_views.oidc_callback, name="oidc-callback"),
    path("first-admin/<str:token>/", views.first_admin, name="first-admin"),
]
