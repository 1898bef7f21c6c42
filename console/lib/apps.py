from django.apps import AppConfig


class LibConfig(AppConfig):
    name = "console.lib"
    label = "lib"

    def ready(self) -> None:
        """Set up logging, once for every kind of process."""
        from django_structlog.signals import bind_extra_request_metadata

        from console.lib import logs

        logs.configure()
        bind_extra_request_metadata.connect(logs.bind_address)
