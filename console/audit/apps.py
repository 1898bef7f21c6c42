from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "console.audit"
    label = "audit"

    def ready(self) -> None:
        """Listen to what people do with their accounts."""
        from console.audit import receivers  # noqa: F401
