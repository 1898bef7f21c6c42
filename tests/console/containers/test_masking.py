"""What looks like a secret, and what is shown in its place."""

from __future__ import annotations

import pytest

from console.containers.masking import MASK, looks_secret, mask_inspect


@pytest.mark.parametrize(
    "name",
    [
        *("DB_PASSWORD", "POSTGRES_PASSWORD", "passwd", "MYSQL_PWD", "SECRET_KEY", "API_KEY", "apikey", "GITHUB_TOKEN"),
        *("AWS_SECRET_ACCESS_KEY", "PRIVATE_KEY", "SENTRY_DSN", "AUTH", "SESSION_COOKIE", "key", "KEYS"),
    ],
)
def test_names_that_look_secret(name: str) -> None:
    assert looks_secret(name, "value")
    assert not looks_secret(name, "")


@pytest.mark.parametrize("name", ["PATH", "LOG_LEVEL", "KEYBOARD", "MONKEY", "AUTHOR", "HOME", "team", "DONKEYS"])
def test_names_that_do_not(name: str) -> None:
    assert not looks_secret(name, "value")


@pytest.mark.parametrize(
    "value",
    ["postgres://app:hunter2@db/app", "-----BEGIN RSA PRIVATE KEY-----\nx", "eyJhbGciOi.eyJzdWIi.c2ln"],
)
def test_values_that_look_secret(value: str) -> None:
    assert looks_secret("URL", value)
    assert not looks_secret("URL", "postgres://db/app")


def test_an_engines_answer_is_masked_and_stays_as_it_was() -> None:
    raw = {"Config": {"Env": ["A=1", "TOKEN=x=y", "EMPTY_TOKEN="], "Labels": {"api_key": "x", "team": "red"}}, "Id": 1}

    assert mask_inspect(raw) == {
        "Config": {"Env": ["A=1", f"TOKEN={MASK}", "EMPTY_TOKEN="], "Labels": {"api_key": MASK, "team": "red"}},
        "Id": 1,
    }
    assert raw["Config"]["Env"][1] == "TOKEN=x=y"  # type: ignore[index]
    assert mask_inspect({"Config": None}) == {"Config": None}


def test_what_old_engines_tell_of_an_images_builder_is_masked_too() -> None:
    raw = {"Config": {"Env": ["TOKEN=x"]}, "ContainerConfig": {"Env": ["A=1", "TOKEN=x"], "Labels": {"api_key": "x"}}}

    assert mask_inspect(raw)["ContainerConfig"] == {"Env": ["A=1", f"TOKEN={MASK}"], "Labels": {"api_key": MASK}}
