"""Which values look secret, and what pages show in their place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "••••••••"

#: Where an answer holds variables and labels. The second is the builder's own container, which Docker told of an image
#: until version 25.
_CONFIGS = ("Config", "ContainerConfig")

_SECRET_NAME = re.compile(
    r"(?i)(pass(word|wd|phrase)?|pwd|secret|token|credential|private|auth(?!or)|cookie|salt|cert|dsn)"
    r"|(?:^|[_.-])key(?:$|[_.-]|s$)|api_?key|access_?key"
)
_SECRET_VALUE = re.compile(
    r"://[^/\s:@]+:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY-----|^ey[A-Za-z0-9_-]+\.ey[A-Za-z0-9_-]+\."
)


def looks_secret(name: str, value: str) -> bool:
    """Whether a variable or label of this name and value is likely to hold a secret; what stands for one does."""
    return bool(value) and bool(value == MASK or _SECRET_NAME.search(name) or _SECRET_VALUE.search(value))


def mask_inspect(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return an engine's whole answer with the values that look secret masked; ``raw`` stays as it is."""
    configs = {key: _mask_config(raw[key]) for key in _CONFIGS if isinstance(raw.get(key), Mapping)}
    return {**raw, **configs}


def _mask_config(raw: Mapping[str, Any]) -> dict[str, Any]:
    config = dict(raw)
    config["Env"] = [_mask_entry(str(entry)) for entry in config.get("Env") or ()]
    labels = config.get("Labels")
    if isinstance(labels, Mapping):
        config["Labels"] = {
            name: MASK if looks_secret(str(name), str(value)) else value for name, value in labels.items()
        }
    return config


def _mask_entry(entry: str) -> str:
    name, equals, value = entry.partition("=")
    return f"{name}{equals}{MASK}" if looks_secret(name, value) else entry
