from django.apps import AppConfig


class RbacConfig(AppConfig):
    name = "console.rbac"
    label = "rbac"
