from django.apps import AppConfig


class TerminalsConfig(AppConfig):
    name = "console.terminals"
    label = "terminals"
