"""The pieces of pages: what they say, and that hostile text stays text."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django import forms
from django.template import Context, Template
from django.utils import timezone

HOSTILE = '"><img src=x onerror=alert(1)>'


def render(source: str, **values: object) -> str:
    return Template("{% load components %}" + source).render(Context(values))


class HostForm(forms.Form):
    name = forms.CharField(label="Name", help_text="What pages call it.", max_length=5)
    is_quiet = forms.BooleanField(label="Quiet", required=False)
    driver = forms.ChoiceField(label="Driver", choices=[("docker", "Docker")], widget=forms.RadioSelect)


def test_an_icon_is_drawn_and_hidden_from_screen_readers() -> None:
    drawn = render('{% icon "play" %}')
    assert "<path" in drawn
    assert 'aria-hidden="true"' in drawn


def test_an_icon_with_a_label_is_an_image_that_says_it() -> None:
    drawn = render('{% icon "lock" label=label %}', label=HOSTILE)
    assert 'role="img"' in drawn
    assert "aria-label=" in drawn
    assert "<img" not in drawn


@pytest.mark.parametrize(
    "source",
    [
        "{% state_badge text title=text %}",
        "{% badge text %}",
        "{% copy_button text shown=text %}",
        "{% code_block text %}",
        "{% meter value=5 label=text text=text %}",
        "{% progress value=5 label=text %}",
        "{% progress label=text %}",
        "{% page_header title=text subtitle=text back_url='/' back_label=text %}{% endpage_header %}",
        "{% empty_state title=text text=text %}{% endempty_state %}",
        "{% callout 'danger' title=text next=text %}{{ text }}{% endcallout %}",
        "{% menu label=text text=text %}{{ text }}{% endmenu %}",
        "{% avatar text %}",
    ],
)
def test_hostile_text_stays_text(source: str) -> None:
    assert "<img" not in render(source, text=HOSTILE)


def test_a_state_is_a_word_for_people_beside_its_dot() -> None:
    assert render('{% state_badge "running" %}') == '<span class="state" data-state="running">Running</span>'


def test_an_unknown_state_is_shown_as_the_engine_says_it() -> None:
    assert ">frozen</span>" in render('{% state_badge "frozen" %}')


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1536, "1.5 kB"),
        (99_900, "99.9 kB"),
        (99_960, "100 kB"),
        (999_600, "1.0 MB"),
        (5_000_000_000, "5.0 GB"),
        (10**18, "1,000 PB"),
    ],
)
def test_sizes_have_three_figures(size: int, words: str) -> None:
    assert words.replace(",", "") in render("{% filesize size %}", size=size).replace(",", "")


def test_a_size_nobody_knows_is_a_dash() -> None:
    assert "—" in render("{% filesize size %}", size=None)


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(minutes=3, seconds=20), "3\xa0minutes ago"),
        (timedelta(hours=-2, minutes=-5), "in 2\xa0hours"),
    ],
)
def test_times_are_relative_with_the_absolute_on_hover(ago: timedelta, words: str) -> None:
    shown = render("{% reltime moment %}", moment=timezone.now() - ago)
    assert words in shown
    assert "data-relative" in shown
    assert "title=" in shown


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=-5), "0 s"),
        (timedelta(minutes=3, seconds=20), "3 min"),
        (timedelta(hours=47, minutes=5), "47 h"),
        (timedelta(days=12, minutes=5), "12 d"),
        (timedelta(days=800), "2 y"),
    ],
)
def test_ages_are_short_and_say_the_moment_with_its_zone(length: timedelta, words: str) -> None:
    moment = timezone.now() - length
    shown = render("{% age moment %}", moment=moment)
    assert f">{words}</time>" in shown
    assert f'datetime="{moment.isoformat()}"' in shown
    assert 'data-relative="short"' in shown
    assert 'UTC"' in shown


@pytest.mark.parametrize(
    ("seconds", "words"), [(-1, "0 s"), (7.9, "7 s"), (59, "59 s"), (187, "3 min 7 s"), (7_380, "2 h 3 min")]
)
def test_what_goes_on_is_counted_in_whole_seconds_for_the_browser_to_go_on_from(seconds: float, words: str) -> None:
    shown = render("{% elapsed duration %}", duration=timedelta(seconds=seconds))
    assert f">{words}</time>" in shown
    assert f'data-elapsed="{max(0, int(seconds))}"' in shown


@pytest.mark.parametrize(
    ("value", "level"), [(0, "normal"), (10, "normal"), (75, "raised"), (100, "raised"), (101, "high"), (250, "high")]
)
def test_a_meter_warns_before_the_limit_and_tells_what_is_beyond_from_what_is_full(value: int, level: str) -> None:
    shown = render("{% meter value=value label='Memory' %}", value=value)
    assert f'data-level="{level}"' in shown
    assert "width:250" not in shown


def test_a_meter_says_its_words_once_to_who_hears_them() -> None:
    shown = render("{% meter value=1 label='Memory' text='1 of 100' %}")
    assert '<div class="meter-head" aria-hidden="true">' in shown
    assert 'role="meter" aria-label="Memory"' in shown
    assert 'aria-valuetext="1 of 100"' in shown


def test_without_a_limit_there_is_no_meter() -> None:
    shown = render("{% meter value=None label='Memory' text='1 of no limit' %}")
    assert "1 of no limit" in shown
    assert "aria-hidden" not in shown
    assert 'role="meter"' not in shown


def test_progress_without_an_end_only_moves() -> None:
    assert "data-indeterminate" in render("{% progress value=3 max=0 label='Pull' %}")
    assert "aria-valuenow" not in render("{% progress label='Pull' %}")


def test_a_field_ties_label_help_and_errors_to_its_widget() -> None:
    form = HostForm({"name": "much too long"})
    shown = render("{% field form.name %}", form=form)
    assert '<label for="id_name">Name</label>' in shown
    assert 'id="id_name_helptext"' in shown
    assert 'id="id_name_error"' in shown
    assert 'aria-describedby="id_name_helptext id_name_error"' in shown
    assert 'aria-invalid="true"' in shown
    assert 'value="much too long"' in shown


def test_a_checkbox_has_its_label_at_its_side() -> None:
    shown = render("{% field form.is_quiet %}", form=HostForm())
    assert shown.index("<input") < shown.index("<label")


def test_choices_are_a_group_with_a_name() -> None:
    shown = render("{% field form.driver %}", form=HostForm())
    assert 'role="group"' in shown
    assert 'aria-labelledby="id_driver_label"' in shown or 'id="id_driver_0_label"' in shown


def test_a_summary_leads_to_each_field_in_error() -> None:
    shown = render("{% form_errors form %}", form=HostForm({"name": "", "driver": "x"}))
    assert 'href="#id_name"' in shown
    assert "2 things need your attention" in shown


def test_a_form_without_errors_has_no_summary() -> None:
    assert render("{% form_errors form %}", form=HostForm()) == ""
