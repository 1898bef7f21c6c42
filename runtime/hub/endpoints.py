"""Where an engine answers, as it crosses the wire to the hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime.endpoint import Driver, Endpoint, Timeouts, TlsCredentials


def to_json(endpoint: Endpoint) -> dict[str, Any]:
    """Return ``endpoint`` as plain values; with its credentials: for the hub's private socket alone."""
    tls = endpoint.tls
    return {
        "driver": endpoint.driver.value,
        "url": endpoint.url,
        "tls": None
        if tls is None
        else {"ca_pem": tls.ca_pem, "certificate_pem": tls.certificate_pem, "key_pem": tls.key_pem},
        "timeouts": {"connect": endpoint.timeouts.connect, "read": endpoint.timeouts.read},
    }


def from_json(fields: Mapping[str, Any]) -> Endpoint:
    """Return the endpoint in ``fields``. Raises ``ValueError``."""
    try:
        tls = fields["tls"]
        return Endpoint(
            driver=Driver(fields["driver"]),
            url=fields["url"],
            tls=None if tls is None else TlsCredentials(**tls),
            timeouts=Timeouts(**fields["timeouts"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an endpoint: {error}") from error
