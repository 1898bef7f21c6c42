"""Sizes, processors and counts: as people type them, and as people read them."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MIB = 1024 * 1024
LARGEST_MEMORY = 64 * 1024 * 1024 * MIB

_SIZE = re.compile(r"\s*(\d{1,15}(?:[.,]\d{1,6})?)\s*([kmgt]?)(i?b)?\s*\Z", re.IGNORECASE)


# As people type them


def parse_size(text: str) -> int:
    """Return ``256 MB``, ``1.5g`` and the like in bytes (a KB is 1024 of them); 0 when empty.

    Raises ``ValidationError``.
    """
    if not text.strip():
        return 0
    match = _SIZE.match(text)
    if match is None:
        raise ValidationError(_("“%(text)s” is no size. Write it like 256 MB or 1.5 GB.") % {"text": text[:60]})
    number, unit, suffix = match.groups()
    if not unit and not suffix:
        raise ValidationError(_("Which unit? Write %(text)s MB, or %(text)s GB.") % {"text": number})
    size = Decimal(number.replace(",", ".")) * 1024 ** ("kmgt".index(unit.lower()) + 1 if unit else 0)
    if size > LARGEST_MEMORY:
        raise ValidationError(_("That is more than any machine has; the most is %(most)s.") % {"most": "64 TB"})
    return int(size)


def parse_cpus(text: str) -> int:
    """Return a number of processors in billionths; 0 when empty. Raises ``ValidationError``."""
    if not text.strip():
        return 0
    try:
        cpus = Decimal(text.strip().replace(",", "."))
    except InvalidOperation as error:
        raise ValidationError(_("“%(text)s” is no number. Write it like 0.5 or 2.") % {"text": text[:60]}) from error
    if not cpus.is_finite() or not Decimal("0.01") <= cpus <= 4096:
        raise ValidationError(_("Write a number from 0.01 to 4096."))
    return int(cpus * 10**9)


def parse_number(text: str) -> int:
    """Return a whole number; 0 when empty. Raises ``ValidationError``."""
    if not text.strip():
        return 0
    if not re.fullmatch(r"[0-9]{1,10}", text.strip()):
        raise ValidationError(_("“%(text)s” is no whole number.") % {"text": text[:60]})
    return int(text)


# As people read them


def size_text(size_bytes: int) -> str:
    """Return a size as people write it: ``256 MB``."""
    for unit, factor in (("GB", 1024 * MIB), ("MB", MIB), ("KB", 1024)):
        if size_bytes >= factor:
            number = size_bytes / factor
            return f"{number:.0f} {unit}" if number == int(number) else f"{number:.1f} {unit}"
    return f"{size_bytes} B"


def cpus_text(nano_cpus: int) -> str:
    """Return a share of processors as people write it: ``0.5``."""
    return f"{nano_cpus / 10**9:.3f}".rstrip("0").rstrip(".")
