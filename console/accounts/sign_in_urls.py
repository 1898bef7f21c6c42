"""The ways in and out, below /accounts/. Of django-allauth only the sign-in is mounted."""

from __future__ import annotations

from django.urls import path

from console.accounts import views

urlpatterns = [
    path("login/", views.sign_in, name="account_login"),
    path("logout/", views.sign_out, name="account_logout"),
    path("first-admin/<str:token>/", views.first_admin, name="first-admin"),
]
