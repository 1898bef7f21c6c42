"""What others are told of the inventory, as Django signals."""

from __future__ import annotations

from django.dispatch import Signal

#: ``host`` and ``changes``: what an observation changed among the containers, after it was written.
containers_changed = Signal()
