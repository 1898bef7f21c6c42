"""An engine's refusals as errors with causes."""

import json

import pytest

from runtime import (
    AccessDenied,
    BackendError,
    Conflict,
    EngineFailure,
    Invalid,
    NotFound,
    ProtocolError,
    Unreachable,
    Unsupported,
    errors,
)
from runtime.drivers.docker.problems import problem, pull_problem, recognise, sentence

#: What engines really say: (status, sentence, error, reason).
SAID: list[tuple[int, str, type[BackendError], str]] = [
    (404, "No such container: abc", NotFound, "container_missing"),
    (404, 'no container with name or ID "x" found: no such container', NotFound, "container_missing"),
    (404, "No such image: ghost:1", NotFound, "image_missing"),
    (404, "network nowhere not found", NotFound, "network_missing"),
    (500, "unable to find network with name or ID nowhere: network not found", NotFound, "network_missing"),
    (404, "network not found", NotFound, "network_missing"),
    (409, "network with name a already exists", Conflict, "name_taken"),
    (500, "network name a already used: network already exists", Conflict, "name_taken"),
    (403, "operation is not permitted on predefined bridge network ", Conflict, "predefined"),
    (403, "bridge is a pre-defined network and cannot be removed", Conflict, "predefined"),
    (
        500,
        'cannot create network with name "host" because it conflicts with a valid network mode',
        Conflict,
        "predefined",
    ),
    (500, "default network podman cannot be removed", Conflict, "predefined"),
    (403, "error while removing network: network a id b has active endpoints", Conflict, "in_use"),
    (500, '"a" has associated containers with it. Use -f to forcibly delete containers', Conflict, "in_use"),
    (404, "get x: no such volume", NotFound, "volume_missing"),
    (
        409,
        "create v: A volume named v already exists with the local driver. Choose a different volume name.",
        Conflict,
        "name_taken",
    ),
    (
        500,
        "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        EngineFailure,
        "disk_not_limited",
    ),
    (500, "--storage-opt is not supported for vfs", EngineFailure, "disk_not_limited"),
    (500, "Filesystem does not support, or has not enabled quotas", EngineFailure, "disk_not_limited"),
    (404, "No such exec instance: x", NotFound, "exec_missing"),
    (404, "page not found", Unsupported, ""),
    (
        409,
        'Conflict. The container name "/a" is already in use by container "b". You have to remove',
        Conflict,
        "name_taken",
    ),
    (409, "name a already in use, cannot rename container b: container already exists", Conflict, "name_taken"),
    (409, "Container abc is not running", Conflict, "not_running"),
    (409, "Container abc is already paused", Conflict, "already_paused"),
    (409, "Container abc is paused, unpause the container before exec", Conflict, "paused"),
    (500, "Container abc is not paused", Conflict, "not_paused"),
    (
        409,
        "You cannot remove a running container abc. Stop the container before attempting removal",
        Conflict,
        "running",
    ),
    (409, "removal of container abc is already in progress", Conflict, "removing"),
    (409, "remove v: volume is in use - [abc]", Conflict, "in_use"),
    (409, "conflict: unable to remove repository reference (must force) - container x", Conflict, "in_use"),
    (500, "can only kill running containers. x is in state exited", Conflict, "not_running"),
    (500, "Bind for 0.0.0.0:80 failed: port is already allocated", EngineFailure, "port_taken"),
    (500, "listen tcp4 127.0.0.1:80: bind: address already in use", EngineFailure, "port_taken"),
    (500, "write /x: no space left on device", EngineFailure, "no_space"),
    (400, 'exec: "nope": executable file not found in $PATH: unknown', Invalid, "command_missing"),
    (400, "No command specified", Invalid, "no_command"),
    (500, "no command or entrypoint provided, and no CMD", Invalid, "no_command"),
    (500, "toomanyrequests: You have reached your pull rate limit", EngineFailure, "rate_limited"),
    (500, "something nobody has seen before", EngineFailure, ""),
    (400, "client version 1.50 is too new. Maximum supported API version is 1.41", Unsupported, "api_version"),
    (400, "client version 1.24 is too old. Minimum supported API version is 1.44", Unsupported, "api_version"),
    (400, "Client sent an HTTP request to an HTTPS server.", Unreachable, "tls"),
    (401, "unauthorized: authentication required", AccessDenied, "registry_denied"),
    (403, "authorization denied by plugin", AccessDenied, ""),
    (405, "method not allowed", Unsupported, ""),
    (422, "unprocessable", Invalid, ""),
    (501, "not implemented", Unsupported, ""),
    (301, "moved", ProtocolError, ""),
    (418, "teapot", ProtocolError, ""),
]


@pytest.mark.parametrize(("status", "said", "kind", "reason"), SAID)
def test_what_engines_say_has_a_name(status: int, said: str, kind: type[BackendError], reason: str) -> None:
    error = problem(status, json.dumps({"message": said}).encode())
    assert type(error) is kind
    assert error.reason == reason
    if kind not in (ProtocolError, Unreachable):
        assert error.message == said


@pytest.mark.parametrize(
    ("said", "kind", "reason"),
    [
        ("manifest for x/y:1 not found: manifest unknown", NotFound, "image_missing"),
        ("pull access denied for x, repository does not exist or may require login", NotFound, "image_missing"),
        ("unauthorized: authentication required", AccessDenied, "registry_denied"),
        (
            'Get "https://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
            EngineFailure,
            "registry_unreachable",
        ),
        ("dial tcp: lookup registry.invalid: no such host", EngineFailure, "registry_unreachable"),
        ("failed to register layer: write /x: no space left on device", EngineFailure, "no_space"),
    ],
)
def test_how_pulls_end(said: str, kind: type[BackendError], reason: str) -> None:
    error = pull_problem(said)
    assert (type(error), error.reason) == (kind, reason)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"{", b"[]", b'{"message": 5}', b"[" * 100_000, b"x" * 1_000_000])
def test_any_body_gives_a_bearable_sentence(body: bytes) -> None:
    error = problem(500, body)
    assert isinstance(error, EngineFailure)
    assert 0 < len(error.message) <= 4096
    assert len(sentence(body)) <= 4096


def test_nothing_is_recognised_in_nothing() -> None:
    assert recognise("") == ""


def test_every_error_has_a_code_of_its_own() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BackendError)]
    assert len({kind.code for kind in kinds}) == len(kinds) == 11
