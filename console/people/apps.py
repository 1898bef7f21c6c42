from django.apps import AppConfig


class PeopleConfig(AppConfig):
    name = "console.people"
    label = "people"

    def ready(self) -> None:
        """Listen to what providers tell of people's groups."""
        from console.people import receivers  # noqa: F401
