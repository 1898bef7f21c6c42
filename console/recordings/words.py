"""Why a terminal is not recorded, in words."""

from __future__ import annotations

from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

#: By the codes of ``runtime.recordings.FailureCode``.
_WORDS: Final[dict[str, Promise]] = {
    "disk_full": gettext_lazy("The disk that holds recordings is full. An admin has to make room there."),
    "too_large": gettext_lazy("The recording has reached the largest size that one may have. Open a new terminal."),
    "too_slow": gettext_lazy("More was shown than could be written down. Show less at once."),
    "no_folder": gettext_lazy("The folder for recordings is not there, or may not be written. An admin has to look."),
    "disk": gettext_lazy("The disk that holds recordings failed. An admin has to look."),
}


def why_unrecorded(code: str) -> str:
    """Return the sentence for a failure's code."""
    return str(_WORDS.get(code) or _("The recorder could not go on. An admin has to look at the console's own log."))
