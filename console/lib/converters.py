"""What paths may hold beside Django's own kinds. Import this module before using them."""

from __future__ import annotations

from django.urls import register_converter


class FullId:
    """An engine's full id. Names and short ids never reach a view: another object could win the look-up."""

    regex = "[0-9a-f]{64}"

    def to_python(self, value: str) -> str:
        """The text itself."""
        return value

    def to_url(self, value: str) -> str:
        """The text itself."""
        return value


class VolumeName:
    """The name of a volume, which has no other id."""

    regex = "[A-Za-z0-9][A-Za-z0-9_.-]{0,254}"

    def to_python(self, value: str) -> str:
        """The text itself."""
        return value

    def to_url(self, value: str) -> str:
        """The text itself."""
        return value


class NetworkId:
    """The full id of a network: Docker's, or the shorter one of a swarm."""

    regex = "[0-9a-z]{12,64}"

    def to_python(self, value: str) -> str:
        """The text itself."""
        return value

    def to_url(self, value: str) -> str:
        """The text itself."""
        return value


register_converter(FullId, "full_id")
register_converter(VolumeName, "volume_name")
register_converter(NetworkId, "network_id")
