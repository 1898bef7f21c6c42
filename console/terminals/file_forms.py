"""Which file, from where, to where: parsed and bounded."""

from __future__ import annotations

import re
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from console.lib.text import one_line
from console.terminals.forms import TargetForm

#: Bytes, as the kernel counts.
LONGEST_PATH: Final = 4095
LONGEST_NAME: Final = 255


def _is_plain(text: str) -> bool:
    """Whether nothing in it steers a terminal or a reader's eye."""
    return one_line(text, limit=len(text) + 1) == text


class WholePath(forms.CharField):
    """A path from the root of the container, taken as it is: what it leads to is for the container to say."""

    def __init__(self, **options: Any) -> None:
        super().__init__(strip=False, max_length=LONGEST_PATH, **options)

    def clean(self, value: Any) -> str:
        """Nothing is put right here: a path that is changed is another path."""
        path: str = super().clean(value)
        if not path.startswith("/"):
            raise ValidationError(_("Write the whole path, from “/” on."))
        if len(path.encode(errors="replace")) > LONGEST_PATH:
            raise ValidationError(_("No path is that long: the most is 4095 bytes."))
        if not _is_plain(path):
            raise ValidationError(_("The path has characters that cannot be seen; write it without them."))
        return path


class FromTerminalForm(TargetForm):
    """A container, and the person's own terminal in it, if they come from one."""

    session = forms.UUIDField(required=False)


class PathForm(FromTerminalForm):
    """What to look at, or to fetch."""

    path = WholePath()


class PlaceForm(forms.Form):
    """Which terminal's place."""

    session = forms.UUIDField()


class UploadForm(FromTerminalForm):
    """Where a file goes, and what it will be called."""

    folder = WholePath()
    name = forms.CharField(strip=False)
    overwrite = forms.BooleanField(required=False)

    def clean_name(self) -> str:
        """The name of a file, never a path: also not what another system would take for one."""
        name: str = self.cleaned_data["name"]
        if not name.strip() or name in (".", "..") or re.search(r"[/\\]", name):
            raise ValidationError(_("A file's name has no slash and no backslash, and is neither “.” nor “..”."))
        if not _is_plain(name):
            raise ValidationError(_("The name has characters that cannot be seen; rename the file first."))
        if len(name.encode(errors="replace")) > LONGEST_NAME:
            raise ValidationError(_("The name is too long: the most is 255 bytes. Rename the file first."))
        return name
