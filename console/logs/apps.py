from django.apps import AppConfig


class LogsConfig(AppConfig):
    name = "console.logs"
    label = "logs"

    def ready(self) -> None:
        """Listen to what happens to containers, and answer what is remembered of those that are gone."""
        from console.logs import receivers  # noqa: F401
