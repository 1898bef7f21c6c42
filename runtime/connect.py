"""From an endpoint to an open engine. A new kind of daemon is one folder under ``drivers`` and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from runtime.containers import ContainerEngine
from runtime.drivers.docker.engine import DockerEngine
from runtime.endpoint import Driver, Endpoint

_DRIVERS: Final[dict[Driver, Callable[[Endpoint], ContainerEngine]]] = {
    Driver.DOCKER: DockerEngine,
    Driver.PODMAN: DockerEngine,
}


def connect(endpoint: Endpoint) -> ContainerEngine:
    """Return the engine at ``endpoint``. Does no I/O: the first call connects. Close it with ``close()``."""
    return _DRIVERS[endpoint.driver](endpoint)
