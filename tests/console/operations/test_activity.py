"""The list of operations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from console.accounts.models import User
from console.hosts.models import Host
from console.operations import queries, worker
from console.operations.errors import Reason
from console.operations.models import Operation, OperationState
from tests.console.operations.conftest import Ask

SignIn = Callable[..., Client]
URL = "/activity/"


def test_operations_are_listed_the_newest_first(ask: Ask, alice: User, client_of: SignIn) -> None:
    ask(object_name="older")
    ask(object_name="newer")
    text = client_of(alice).get(URL).content.decode()
    assert text.index("Start newer") < text.index("Start older")


def test_hostile_names_are_text(ask: Ask, alice: User, client_of: SignIn) -> None:
    ask(object_name="<script>alert(1)</script>")
    text = client_of(alice).get(URL).content.decode()
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", {"one", "two", "three"}),
        ("?state=succeeded", {"one"}),
        ("?state=active", {"two", "three"}),
        ("?kind=container.stop", {"two"}),
        ("?state=active&kind=container.start", {"three"}),
        ("?state=nonsense&person=nonsense&host=nonsense&page=nonsense", {"one", "two", "three"}),
        ("?page=99", {"one", "two", "three"}),
    ],
)
def test_filters_narrow_the_list(ask: Ask, alice: User, client_of: SignIn, query: str, shown: set[str]) -> None:
    one = ask(object_name="one")
    ask(kind="container.stop", object_name="two")
    ask(object_name="three")
    Operation.objects.filter(pk=one.pk).update(state=OperationState.SUCCEEDED)
    page = client_of(alice).get(URL + query).context["page"]
    assert {row.operation.object_name for row in page.rows} == shown


def test_by_host_and_person(ask: Ask, alice: User, bob: User, client_of: SignIn) -> None:
    other = Host.objects.create(name="other", url="unix:///nowhere/other.sock")
    ask(object_name="here")
    ask(object_name="there", host=other, actor=bob)
    client = client_of(alice)
    for query in (f"?host={other.pk}", f"?person={bob.pk}"):
        page = client.get(URL + query).context["page"]
        assert [row.operation.object_name for row in page.rows] == ["there"]


def test_facets_count_what_they_would_leave(ask: Ask, alice: User, client_of: SignIn) -> None:
    ask()
    ask()
    ask(kind="container.stop")
    facets = {facet.name: facet for facet in client_of(alice).get(URL + "?kind=container.start").context["facets"]}
    assert [(choice.label, choice.count) for choice in facets["kind"].choices] == [
        ("Start a container", 2),
        ("Stop a container", 1),
    ]
    assert facets["kind"].choices[0].is_chosen
    assert [(choice.label, choice.count) for choice in facets["state"].choices] == [("Going on", 2), ("Queued", 2)]


def test_pages_do_not_overlap(ask: Ask, alice: User, client_of: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "PAGE", 2)
    for number in range(5):
        ask(object_name=f"web-{number}")
    client = client_of(alice)
    names = []
    for page in (1, 2, 3):
        names += [row.operation.object_name for row in client.get(f"{URL}?page={page}").context["page"].rows]
    assert names == ["web-4", "web-3", "web-2", "web-1", "web-0"]


def test_the_list_reads_neither_arguments_nor_output(
    ask: Ask, alice: User, client_of: SignIn, django_assert_max_num_queries: Callable[[int], object]
) -> None:
    for _number in range(20):
        ask(arguments={"secret": "x" * 1000})
    client = client_of(alice)
    client.get(URL)
    with django_assert_max_num_queries(14) as queried:  # type: ignore[attr-defined]
        client.get(URL)
    assert not any('"operations_operation"."arguments"' in query["sql"] for query in queried.captured_queries)


def test_an_empty_list_says_what_to_do_first(alice: User, client_of: SignIn) -> None:
    text = client_of(alice).get(URL).content.decode()
    assert "Nothing has been changed yet" in text
    assert reverse("container-create") in text


def test_a_failure_says_why(ask: Ask, alice: User, client_of: SignIn) -> None:
    operation = ask()
    claimed = worker.claim(operation.pk)
    assert claimed is not None
    reason = Reason(code="no_space", sentence="The disk of harbour is full.", next_step="Make room.")
    worker.end(claimed, worker.End(OperationState.FAILED, reason))
    assert "The disk of harbour is full." in client_of(alice).get(URL).content.decode()


def test_a_stranger_is_refused(operation: Operation, charlie: User, client_of: SignIn) -> None:
    answer = client_of(charlie).get(URL)
    assert answer.status_code == 403
    assert b"web-1" not in answer.content


def test_nothing_changes_by_a_post(alice: User, client_of: SignIn) -> None:
    assert client_of(alice).post(URL).status_code == 405
