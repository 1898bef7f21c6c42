"""The fields of the bodies that an engine accepts, by name alone, out of the engine's own API description.

The description is ``api/swagger.yaml`` in the engine's source, and ``api/docs/v1.NN.yaml`` for published versions. Only
what it names is kept here, in ``engine_api_fields.json``. To record another version::

    .venv/bin/python -m tests.runtime.unit.engine_api path/to/swagger.yaml

A field is written as a path: what stands in a list as if it stood alone, the keys of a map as ``*``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

RECORD: Final = Path(__file__).with_name("engine_api_fields.json")
#: The bodies by the name that `runtime.drivers.docker.fields` gives them.
ENDPOINTS: Final = {
    "container create": "/containers/create",
    "container update": "/containers/{id}/update",
    "exec create": "/containers/{id}/exec",
    "exec start": "/exec/{id}/start",
    "network create": "/networks/create",
    "volume create": "/volumes/create",
}

Schema = Mapping[str, Any]


def bodies_of(description: Schema) -> dict[str, list[str]]:
    """Return the paths of every field of every body."""
    found = {}
    for name, endpoint in ENDPOINTS.items():
        parameters = description["paths"][endpoint]["post"]["parameters"]
        [body] = [parameter["schema"] for parameter in parameters if parameter["in"] == "body"]
        found[name] = sorted(set(_paths(body, description["definitions"], path="")))
    return found


def _paths(schema: Schema, definitions: Schema, *, path: str) -> Iterator[str]:
    """Yield the paths of what has no fields of its own below ``schema``."""
    if "$ref" in schema:
        yield from _paths(definitions[schema["$ref"].rpartition("/")[2]], definitions, path=path)
        return
    below = [*schema.get("allOf", ()), *([schema["items"]] if "items" in schema else ())]
    inner = [found for part in below for found in _paths(part, definitions, path=path)]
    values = schema.get("additionalProperties")
    inner += _paths(values, definitions, path=f"{path}.*") if values else ()
    for name, field in schema.get("properties", {}).items():
        inner += _paths(field, definitions, path=f"{path}.{name}".lstrip("."))
    # What only says which values a list or a map of plain values has is that list or map itself.
    yield from [found for found in inner if found not in (path, f"{path}.*")] or [path]


def leaves(body: object, known: Mapping[str, Any], *, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield path and value of every field of ``body``; what is in none of the ``known`` paths as well."""
    if path in known or not body or not isinstance(body, (dict, list)):
        yield path, body
    elif isinstance(body, list):
        for item in body:
            yield from leaves(item, known, path=path)
    else:
        is_map = any(name.startswith(f"{path}.*") for name in known)
        for name, value in body.items():
            yield from leaves(value, known, path=f"{path}.{'*' if is_map else name}".lstrip("."))


def recorded() -> dict[str, dict[str, list[str]]]:
    """Return the bodies of every version on record."""
    versions: dict[str, dict[str, list[str]]] = json.loads(RECORD.read_text())
    return versions


def main(source: Path) -> None:
    """Put the version that ``source`` describes on record."""
    description = yaml.safe_load(source.read_text())
    versions = recorded() if RECORD.exists() else {}
    versions[description["info"]["version"]] = bodies_of(description)
    RECORD.write_text(json.dumps(versions, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
