"""What views say to the page beside their answer."""

from __future__ import annotations

import json

from django.http import HttpResponse
from django.test import RequestFactory

from console.lib import htmx


def test_toasts_add_up_and_carry_cause_and_next_step() -> None:
    response = htmx.toast(HttpResponse(), "success", "Started")
    htmx.toast(
        response, "error", "Pull failed", detail="no route", next_step="Try again", url="/activity/", url_label="Look"
    )
    items = json.loads(response.headers["HX-Trigger"])["toasts"]["items"]
    assert [item["level"] for item in items] == ["success", "error"]
    assert items[1] == {
        "level": "error",
        "title": "Pull failed",
        "detail": "no route",
        "next": "Try again",
        "url": "/activity/",
        "label": "Look",
    }


def test_a_toast_in_another_script_fits_into_a_header() -> None:
    response = htmx.toast(HttpResponse(), "success", "시작했습니다\r\nX-Evil: 1")
    assert response.headers["HX-Trigger"].isascii()
    assert "\n" not in response.headers["HX-Trigger"]


def test_other_events_stay_beside_toasts() -> None:
    response = htmx.close_dialog(htmx.toast(HttpResponse(), "info", "Saved"))
    assert set(json.loads(response.headers["HX-Trigger"])) == {"toasts", "dialog:close"}


def test_a_plain_form_is_redirected() -> None:
    response = htmx.redirect(RequestFactory().post("/"), "/containers/")
    assert response.status_code == 302
    assert response.headers["Location"] == "/containers/"


def test_a_fragment_is_led_on_inside_the_page() -> None:
    response = htmx.redirect(RequestFactory().post("/", headers={"HX-Request": "true"}), "/containers/")
    assert response.status_code == 204
    location = json.loads(response.headers["HX-Location"])
    assert location["path"] == "/containers/"
    assert location["select"] == "#main"


def test_a_boosted_visit_is_a_whole_page() -> None:
    visit = RequestFactory().get("/", headers={"HX-Request": "true", "HX-Boosted": "true"})
    assert not htmx.is_fragment(visit)
