"""Addresses of daemons."""

import dataclasses

import pytest

from runtime import Driver, Endpoint, TlsCredentials


def test_a_unix_endpoint_has_a_path() -> None:
    endpoint = Endpoint(driver=Driver.DOCKER, url="unix:///run/docker.sock")
    assert endpoint.socket_path == "/run/docker.sock"
    assert endpoint.address is None


def test_a_tcp_endpoint_has_an_address() -> None:
    endpoint = Endpoint(driver=Driver.PODMAN, url="tcp://10.0.0.5:2376")
    assert endpoint.address == ("10.0.0.5", 2376)
    assert endpoint.socket_path is None
    assert Endpoint(driver=Driver.DOCKER, url="tcp://[::1]:2376").address == ("::1", 2376)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "docker.sock",
        "unix://relative.sock",
        "unix://",
        "http://10.0.0.5:2375",
        "ssh://host",
        "tcp://10.0.0.5",
        "tcp://:2375",
        "tcp://user@host:2375",
        "tcp://host:2375/path",
        "tcp://host:2375/?x=1",
        "tcp://-oProxyCommand:22",
        "tcp://host:notaport",
        "file:///etc/passwd",
    ],
)
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        Endpoint(driver=Driver.DOCKER, url=url)


def test_it_is_frozen_and_keeps_its_secret() -> None:
    tls = TlsCredentials(ca_pem="CA", certificate_pem="CERT", key_pem="SECRET KEY")
    endpoint = Endpoint(driver=Driver.DOCKER, url="tcp://host:2376", tls=tls)
    assert "SECRET" not in repr(endpoint)
    with pytest.raises(dataclasses.FrozenInstanceError):
        endpoint.url = "tcp://other:1"  # type: ignore[misc]
