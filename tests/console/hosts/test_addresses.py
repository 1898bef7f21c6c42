"""Names and addresses, as people enter them."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from console.gateway import Driver, Endpoint
from console.hosts.addresses import clean_address, clean_name, same_place


@pytest.mark.parametrize("name", ["a", "local", "build-01", "Rack 3 left", "a.b_c-d", "x" * 60])
def test_a_plain_name_is_taken_as_it_is(name: str) -> None:
    assert clean_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-rf",
        "a\nb",
        "a ",
        " a",
        "a  b",
        "x" * 61,
        "host\u0430",  # a Cyrillic letter that looks like an a
        "a\u200bb",
        "a/b",
        "a<b>",
        "a\0",
        "호스트",
        "a-",
    ],
)
def test_a_name_that_could_pose_or_break_something_is_refused(name: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        clean_name(name)
    assert "build-01" in refusal.value.messages[0], "it says what a good one looks like"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
        ("  UNIX:///var//run/../run/docker.sock ", "unix:///var/run/docker.sock"),
        ("tcp://10.0.0.5:2376", "tcp://10.0.0.5:2376"),
        ("tcp://Engine.Example.COM:2376/", "tcp://engine.example.com:2376"),
        ("tcp://[::1]:2376", "tcp://[::1]:2376"),
    ],
)
def test_an_address_gets_its_one_spelling(text: str, address: str) -> None:
    assert clean_address(text) == address
    Endpoint(driver=Driver.DOCKER, url=address)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "unix://"),
        ("/var/run/docker.sock", "unix://"),
        ("unix://var/run/docker.sock", "absolute"),
        ("unix:///run/a.sock?x", "absolute"),
        ("unix:///" + "x" * 120, "107"),
        ("tcp://10.0.0.5", "2376"),
        ("tcp://10.0.0.5:0", "65535"),
        ("tcp://10.0.0.5:70000", "host"),
        ("tcp://-x:2376", "no name"),
        ("tcp://a..b:2376", "no name"),
        ("tcp://user:secret@10.0.0.5:2376", "nothing else"),
        ("tcp://10.0.0.5:2376/v1.41", "nothing else"),
        ("tcp://10.0.0.5:2376?x=1", "nothing else"),
        ("tcp://[fe80::1%eth0]:2376", "host"),
        ("tcp://\u0430pple.com:2376", "ASCII"),
        ("tcp://10.0.0.5:2376\nX: y", "ASCII"),
        ("tcp://a b:1", "ASCII"),
        ("http://10.0.0.5:2375", "tcp://"),
        ("https://10.0.0.5:2376", "tcp://"),
        ("ssh://root@10.0.0.5", "SSH"),
        ("file:///etc/passwd", "tcp://"),
        ("fd://", "unix://"),
    ],
)
def test_any_other_address_is_refused_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        clean_address(text)
    assert hint in refusal.value.messages[0]


def test_two_paths_to_one_socket_are_one_place(tmp_path: Path) -> None:
    (tmp_path / "real.sock").touch()
    (tmp_path / "link.sock").symlink_to(tmp_path / "real.sock")
    assert same_place(f"unix://{tmp_path}/link.sock") == same_place(f"unix://{tmp_path}/real.sock")
    assert same_place("tcp://a:1") != same_place("tcp://b:1")
