"""What others are asked about containers, as Django signals."""

from __future__ import annotations

from dataclasses import dataclass

from django.dispatch import Signal
from django.utils.functional import Promise

#: ``user``, ``host_id`` and ``container_id`` of a container that is gone; receivers return a ``Remembered`` or nothing.
gone_asked = Signal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """Something that is left of a container that is gone, and that the person who asked may see."""

    name: str
    url: str
    label: str | Promise
    icon: str
