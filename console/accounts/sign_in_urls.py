"""The ways in and out, below /accounts/. Of django-allauth only the sign-in is mounted."""

from __future__ import annotations

from django.urls import path

from console.accounts import proof_views, views

urlpatterns = [
    path("login/", views.sign_in, name="account_login"),
    path("second-step/", proof_views.second_step, name="second-step"),
    path("second-step/key/", proof_views.second_step_key, name="second-step-key"),
    path("logout/", views.sign_out, name="account_logout"),
    path("first-admin/<str:token>/", views.first_admin, name="first-admin"),
]
