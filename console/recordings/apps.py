from django.apps import AppConfig


class RecordingsConfig(AppConfig):
    name = "console.recordings"
    label = "recordings"
