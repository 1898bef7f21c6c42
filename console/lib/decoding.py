"""Plain JSON values into closed dataclasses: what has no field is refused by its name."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Hashable
from functools import lru_cache
from typing import Any, TypeVar


class Malformed(ValueError):
    """Values that do not fit: the message names the key."""


Value = TypeVar("Value")


def decode(wanted: type[Value], data: object, *, where: str) -> Value:
    """Return the dataclass ``wanted`` made of ``data``, which ``where`` names.

    Raises ``Malformed`` for an unknown key, a missing one or a wrong type.
    """
    if not isinstance(data, dict):
        raise Malformed(f"{where} is not an object")
    hints = _hints(typing.cast("Hashable", wanted))
    unknown = sorted(str(key) for key in data.keys() - hints.keys())
    if unknown:
        raise Malformed(f"{where}.{unknown[0]} is not a field")
    values = {key: _decode(hints[key], value, where=f"{where}.{key}") for key, value in data.items()}
    try:
        return wanted(**values)
    except TypeError as error:
        raise Malformed(f"{where} misses a field") from error


@lru_cache
def _hints(wanted: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(wanted)


def _decode(wanted: Any, value: object, *, where: str) -> Any:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is types.UnionType:
        if value is None and types.NoneType in arguments:
            return None
        (wanted,) = [argument for argument in arguments if argument is not types.NoneType]
        return _decode(wanted, value, where=where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise Malformed(f"{where} is not a list")
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) != len(value):
            raise Malformed(f"{where} has {len(value)} parts, not {len(kinds)}")
        pairs = zip(kinds, value, strict=True)
        return tuple(_decode(kind, item, where=f"{where}.{index}") for index, (kind, item) in enumerate(pairs))
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        try:
            return wanted(value)
        except ValueError as error:
            raise Malformed(f"{where} is not one of {', '.join(member.value for member in wanted)}") from error
    if dataclasses.is_dataclass(wanted):
        return decode(typing.cast("type[object]", wanted), value, where=where)
    if type(value) is not wanted:
        raise Malformed(f"{where} is not of type {wanted.__name__}")
    return value
