from django.apps import AppConfig


class ContainersConfig(AppConfig):
    name = "console.containers"
    label = "containers"

    def ready(self) -> None:
        """Register the operation kinds of this app."""
        from console.containers import handlers, image_handlers, network_handlers, volume_handlers  # noqa: F401
