"""The record, below /audit/."""

from __future__ import annotations

from django.urls import path

from console.audit import views

urlpatterns = [path("", views.audit_list, name="audit-list")]
