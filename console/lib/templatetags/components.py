"""The pieces pages are made of.

Rows of lists use `icon`, `state_badge`, `badge`, `reltime`, `age`, `elapsed` and `filesize` only: those render no
template of their own.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO
from typing import Any, cast
from zipfile import ZipFile

from django import template
from django.forms import BaseForm, BoundField, CheckboxInput, CheckboxSelectMultiple, RadioSelect, Select, Textarea
from django.forms.utils import ErrorList
from django.template.loader import get_template
from django.utils import formats, timezone
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

register = template.Library()

Text = str | Promise

#: What states are called on the screen. Words of engines that are not here are shown as they are.
STATES: dict[str, Text] = {
    "created": gettext_lazy("Created"),
    "running": gettext_lazy("Running"),
    "paused": gettext_lazy("Paused"),
    "restarting": gettext_lazy("Restarting"),
    "removing": gettext_lazy("Removing"),
    "exited": gettext_lazy("Exited"),
    "dead": gettext_lazy("Dead"),
    "unknown": gettext_lazy("Unknown"),
    "healthy": gettext_lazy("Healthy"),
    "unhealthy": gettext_lazy("Unhealthy"),
    "starting": gettext_lazy("Starting"),
    "queued": gettext_lazy("Queued"),
    "succeeded": gettext_lazy("Succeeded"),
    "failed": gettext_lazy("Failed"),
    "cancelled": gettext_lazy("Cancelled"),
    "online": gettext_lazy("Online"),
    "connecting": gettext_lazy("Connecting"),
    "unreachable": gettext_lazy("Unreachable"),
    "stale": gettext_lazy("Stale"),
}

CALLOUT_ICONS = {"info": "info", "success": "circle-check", "warning": "triangle-alert", "danger": "octagon-alert"}

_INNER = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)


def _render(name: str, **values: object) -> SafeString:
    return cast("SafeString", get_template(f"components/{name}.html").render(values))


@cache
def _drawings() -> ZipFile:
    """Open the lucide package's drawings. Its own tag reads the list of all 1,500 anew for every icon: 25 ms each."""
    return ZipFile(BytesIO(files("lucide").joinpath("lucide.zip").read_bytes()))


@lru_cache(maxsize=1024)
def _icon(name: str, size: int, class_name: str, label: str) -> SafeString:
    found = _INNER.search(_drawings().read(f"{name}.svg").decode())
    drawing = re.sub(r"\s*\n\s*", "", found[1]).replace(" />", "/>") if found else ""
    return format_html(
        '<svg class="icon{}" width="{}" height="{}" viewBox="0 0 24 24" {}>{}</svg>',
        f" {class_name}" if class_name else "",
        size,
        size,
        format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"'),
        mark_safe(drawing),  # noqa: S308  drawn by the lucide package
    )


@register.simple_tag
def icon(name: str, *, size: int = 16, class_name: str = "", label: Text = "") -> SafeString:
    """Draw the Lucide icon ``name``; hidden from screen readers unless it has a ``label``."""
    return _icon(name, size, class_name, str(label))


@register.simple_tag
def state_badge(state: str, *, text: Text = "", title: Text = "") -> SafeString:
    """Show a state as a coloured dot with its word, or with ``text`` instead."""
    return format_html(
        '<span class="state" data-state="{}"{}>{}</span>',
        state,
        format_html(' title="{}"', title) if title else "",
        text or STATES.get(state, state),
    )


@register.simple_tag
def badge(text: Text, *, tone: str = "neutral") -> SafeString:
    """Show a word on a tinted ground."""
    return format_html('<span class="tag" data-tone="{}">{}</span>', tone, text)


@register.simple_tag
def reltime(value: datetime | None, *, empty: Text = "—") -> SafeString:
    """Show how long ago (or ahead) ``value`` is; the absolute time on hover. The browser keeps it ticking."""
    if value is None:
        return format_html('<span class="muted">{}</span>', empty)
    now = timezone.now()
    if value > now:
        words = _("in %(time)s") % {"time": timeuntil(value, now, depth=1)}
    elif (now - value).total_seconds() < 60:
        words = _("just now")
    else:
        words = _("%(time)s ago") % {"time": timesince(value, now, depth=1)}
    return format_html(
        '<time datetime="{}" data-relative title="{}">{}</time>',
        value.isoformat(),
        formats.date_format(timezone.localtime(value), "DATETIME_FORMAT"),
        words,
    )


@register.simple_tag
def age(value: datetime) -> SafeString:
    """Show in short how long ago ``value`` was; the absolute time on hover. The browser keeps it ticking."""
    return format_html(
        '<time datetime="{}" data-relative="short" title="{}">{}</time>',
        value.isoformat(),
        f"{timezone.localtime(value):%Y-%m-%d %H:%M %Z}",
        age_words(value, now=timezone.now()),
    )


def age_words(moment: datetime, *, now: datetime) -> str:
    """Return how long ago ``moment`` was: ``5 min``, ``3 h``, ``12 d``. static/js/time.js says it in the same words."""
    seconds = max(0, int((now - moment).total_seconds()))
    if seconds < 60:
        return _("%(count)s s") % {"count": seconds}
    if seconds < 3600:
        return _("%(count)s min") % {"count": seconds // 60}
    if seconds < 2 * 86_400:
        return _("%(count)s h") % {"count": seconds // 3600}
    if seconds < 730 * 86_400:
        return _("%(count)s d") % {"count": seconds // 86_400}
    return _("%(count)s y") % {"count": seconds // (365 * 86_400)}


@register.simple_tag
def elapsed(duration: timedelta) -> SafeString:
    """Show how long something has gone on by now; the browser counts on from there, by its own clock."""
    seconds = max(0, int(duration.total_seconds()))
    return format_html(
        '<time class="num nowrap" datetime="PT{}S" data-elapsed="{}">{}</time>', seconds, seconds, time_words(seconds)
    )


def time_words(seconds: int) -> str:
    """Return a length of time as people say it. static/js/time.js says it in the same words."""
    if seconds < 60:
        return _("%(seconds)s s") % {"seconds": seconds}
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return _("%(minutes)s min %(seconds)s s") % {"minutes": minutes, "seconds": rest}
    return _("%(hours)s h %(minutes)s min") % {"hours": minutes // 60, "minutes": minutes % 60}


@register.simple_tag
def filesize(size_bytes: int | None, *, empty: Text = "—") -> SafeString:
    """Show a size in bytes with three figures."""
    if size_bytes is None:
        return format_html('<span class="muted">{}</span>', empty)
    return format_html('<data value="{}" class="size">{}</data>', size_bytes, human_size(size_bytes))


def human_size(size_bytes: int) -> str:
    """Return ``size_bytes`` in the largest fitting decimal unit, as engines' own tools do."""
    value, units = float(size_bytes), ("B", "kB", "MB", "GB", "TB", "PB")
    place = 0
    while abs(value) >= 999.5 and place < len(units) - 1:
        value /= 1000
        place += 1
    places = 0 if place == 0 or value >= 99.95 else 1
    return f"{formats.number_format(round(value, places), places)} {units[place]}"


def _percent(value: float, most: float) -> float:
    return round(min(max(value / most * 100, 0), 100), 1) if most > 0 else 0


@register.simple_tag
def meter(value: float | None, *, max: float = 100, label: Text, text: Text = "") -> SafeString:  # noqa: A002
    """Show how much of a limit is used; amber from 75 %, red beyond it. Without a value there are only words."""
    percent = _percent(value or 0, max)
    shown = text or f"{percent:.0f} %"
    if value is None:
        return format_html(
            '<div class="meter"><div class="meter-head"><span class="meter-label">{}</span>'
            '<span class="meter-text">{}</span></div></div>',
            label,
            shown,
        )
    level = "high" if value > max else "raised" if percent >= 75 else "normal"
    # Who hears the page hears the words once: from the meter itself.
    return format_html(
        '<div class="meter" data-level="{}"><div class="meter-head" aria-hidden="true"><span class="meter-label">{}'
        '</span><span class="meter-text">{}</span></div><div class="meter-track" role="meter" aria-label="{}"'
        ' aria-valuemin="0" aria-valuemax="100" aria-valuenow="{}" aria-valuetext="{}">'
        '<span style="width:{}%"></span></div></div>',
        level,
        label,
        shown,
        label,
        f"{percent:.0f}",
        shown,
        f"{percent}",
    )


@register.simple_tag
def progress(value: float | None = None, *, max: float | None = 100, label: Text) -> SafeString:  # noqa: A002
    """Show how far something is; without a value, or an end, only that it moves."""
    if value is None or not max:
        return format_html(
            '<div class="progress-bar" role="progressbar" aria-label="{}" data-indeterminate><span></span></div>', label
        )
    percent = _percent(value, max)
    return format_html(
        '<div class="progress-bar" role="progressbar" aria-label="{}" aria-valuemin="0" aria-valuemax="100"'
        ' aria-valuenow="{}"><span style="width:{}%"></span></div>',
        label,
        f"{percent:.0f}",
        f"{percent}",
    )


@register.simple_tag
def copy_button(text: object, *, label: Text = "", shown: Text = "") -> SafeString:
    """Offer ``text`` for the clipboard; ``shown`` puts words beside the icon."""
    return format_html(
        '<button type="button" class="btn copy" data-variant="ghost" data-size="{}" data-copy="{}" aria-label="{}"'
        ' title="{}">{}{}{}</button>',
        "xs" if shown else "icon-xs",
        text,
        label or _("Copy"),
        label or _("Copy"),
        _icon("copy", 14, "copy-idle", ""),
        _icon("check", 14, "copy-done", ""),
        shown,
    )


@register.simple_tag
def skeleton(*, lines: int = 3) -> SafeString:
    """Hold the place of text that is on its way."""
    widths = (92, 76, 84, 61, 88, 70)
    bars = format_html_join("", '<span style="width:{}%"></span>', ((widths[i % len(widths)],) for i in range(lines)))
    return format_html('<div class="skeleton-lines" aria-hidden="true">{}</div>', bars)


@register.simple_tag
def avatar(user: Any) -> SafeString:
    """Show a person by their first letters; the hue follows the name."""
    name = str(user.get_short_name() if hasattr(user, "get_short_name") else user)
    words = name.replace(".", " ").replace("_", " ").replace("-", " ").split() or ["?"]
    letters = (words[0][0] + (words[1][0] if len(words) > 1 else "")).upper()
    hue = sum(ord(letter) * (place + 7) for place, letter in enumerate(name)) % 360
    return format_html('<span class="initials" style="--hue:{}" aria-hidden="true">{}</span>', hue, letters)


@register.simple_tag
def code_block(text: object, *, language: str = "", label: Text = "") -> SafeString:
    """Show text as it is, with a button that copies it."""
    return _render("code_block", text=str(text), language=language, label=label or _("Text"))


@register.simple_tag
def form_errors(form: BaseForm) -> SafeString:
    """Say on top of a form what is wrong, with links to the fields; nothing when nothing is."""
    if not form.is_bound or not form.errors:
        return SafeString("")
    fields = [
        {"id": form[name].id_for_label, "label": form[name].label, "errors": errors}
        for name, errors in form.errors.items()
        if name in form.fields
    ]
    own = form.non_field_errors()
    number = sum(len(entry["errors"]) for entry in fields) + len(own)
    title = ngettext("One thing needs your attention", "%(number)d things need your attention", number)
    return _render("form_errors", title=title % {"number": number}, own=own, fields=fields)


_NO_ERRORS = ErrorList()


@register.simple_tag
def field(
    bound: BoundField,
    *,
    label: Text = "",
    prefix: Text = "",
    suffix: Text = "",
    placeholder: Text = "",
    class_name: str = "",
    autocomplete: str = "",
    autofocus: bool = False,
    optional: bool = False,
) -> SafeString:
    """Show a form's field: label, widget, help and errors, tied together for screen readers."""
    widget = bound.field.widget
    attributes: dict[str, Any] = {}
    is_choice = isinstance(widget, RadioSelect | CheckboxSelectMultiple)
    is_check = isinstance(widget, CheckboxInput)
    if not is_choice and not is_check:
        own = "select" if isinstance(widget, Select) else "textarea" if isinstance(widget, Textarea) else "input"
        attributes["class"] = f"{own} {widget.attrs.get('class', '')} {class_name}".strip()
    for name, value in (("placeholder", placeholder), ("autocomplete", autocomplete)):
        if value:
            attributes[name] = value
    if autofocus:
        attributes["autofocus"] = True
    return _render(
        "field",
        field=bound,
        widget=bound.as_widget(attrs=attributes),
        label=label or bound.label,
        errors=bound.errors if bound.form.is_bound else _NO_ERRORS,
        prefix=prefix,
        suffix=suffix,
        optional=optional,
        is_check=is_check,
        is_choice=is_choice,
        is_hidden=bound.is_hidden,
    )


@register.simple_block_tag
def page_header(
    content: str, title: Text, *, subtitle: Text = "", back_url: str = "", back_label: Text = "", badge: str = ""
) -> SafeString:
    """Head a page with its only h1; the content are its buttons."""
    return _render(
        "page_header",
        title=title,
        subtitle=subtitle,
        back_url=back_url,
        back_label=back_label,
        badge=badge,
        actions=content.strip() and content,
    )


@register.simple_block_tag
def empty_state(content: str, *, icon: str = "box", title: Text, text: Text = "") -> SafeString:
    """Say that nothing is here, and what to do first; the content are buttons."""
    return _render("empty_state", icon=icon, title=title, text=text, actions=content.strip() and content)


@register.simple_block_tag
def callout(content: str, tone: str = "info", *, title: Text = "", next: Text = "") -> SafeString:  # noqa: A002
    """Say something that matters: what it is, its cause (the content), what to do next."""
    return _render(
        "callout", tone=tone, icon=CALLOUT_ICONS[tone], title=title, next=next, content=content.strip() and content
    )


@register.simple_block_tag
def menu(
    content: str,
    *,
    label: Text,
    icon: str = "ellipsis",
    text: Text = "",
    variant: str = "outline",
    size: str = "",
    id: str = "",  # noqa: A002
) -> SafeString:
    """Hang a menu below a button; the content are its items."""
    return _render(
        "menu",
        content=content,
        label=label,
        icon=icon,
        text=text,
        variant=variant,
        size=size or ("" if text else "icon"),
        id=id,
    )
