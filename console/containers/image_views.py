"""Pages of images. An engine is asked only for fragments, so a dead host delays no page."""

from __future__ import annotations

import json
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console import gateway
from console.containers import image_queries as queries
from console.containers import image_services as services
from console.containers.answers import lead_to
from console.containers.image_access import access_image, access_images
from console.containers.image_forms import PullForm, TagForm
from console.containers.requests import person
from console.gateway import BackendError
from console.hosts.access import access_host
from console.hosts.models import Host
from console.inventory.models import ObservedImage
from console.lib.htmx import is_fragment, redirect
from console.lib.origin import origin_of
from console.lib.problems import BadInput, wants_json
from console.lib.programs import json_page
from console.operations.answers import accepted
from console.operations.errors import explain
from console.operations.models import Operation
from console.operations.services import wait_for
from console.rbac.access import check
from console.rbac.policy import allowed

_DONE: dict[str, Promise] = {
    "image.tag": gettext_lazy("It is called %(name)s too now."),
    "image.remove": gettext_lazy("%(name)s is removed."),
}


@require_GET
def image_list(request: HttpRequest) -> HttpResponse:
    """Every image of every host, as last observed."""
    user = person(request)
    access_images(user)
    filters = queries.ImageFilters.of(request.GET)
    page = queries.image_page(user, filters)
    if wants_json(request):
        items = map(queries.as_json, page.rows)
        return json_page(request, items, total=page.total, previous=page.previous, following=page.next)
    context = {
        "filters": filters,
        "page": page,
        "facets": queries.image_facets(user, filters),
        "query": filters.query(page=page.page),
        "columns": {name: filters.column(name) for name in queries.COLUMNS},
        "failing_hosts": queries.failing_hosts(user),
        "has_hosts": Host.objects.visible_to(user).exists(),
        "may_pull": allowed(user, "image.pull"),
    }
    return render(request, "images/image_list.html", context)


@require_http_methods(["GET", "POST"])
def image_pull(request: HttpRequest) -> HttpResponse:
    """Ask a host to pull an image; its progress is the operation's page."""
    user = person(request)
    check(user, "image.pull")
    if request.method == "GET":
        initial = {"reference": request.GET.get("reference", "")[:300], "host": request.GET.get("host", "")[:40]}
        return render(request, "images/image_pull.html", {"form": PullForm(user=user, initial=initial)})
    form = PullForm(request.POST, user=user)
    if not form.is_valid():
        return render(request, "images/image_pull.html", {"form": form}, status=422)
    operation = services.pull_image(
        actor=user,
        host=access_host(user, form.cleaned_data["host"].pk, "image.pull"),
        reference=form.cleaned_data["reference"],
        credentials=form.credentials,
        origin=origin_of(request),
    )
    if wants_json(request):
        return accepted(operation)
    return redirect(request, reverse("operation-detail", args=[operation.pk]))


@require_GET
def image_detail(request: HttpRequest, host_id: UUID, image_id: str) -> HttpResponse:
    """One image, as last observed; what only its engine knows comes as a fragment."""
    user = person(request)
    image = access_image(user, host_id, image_id, "image.view")
    return render(request, "images/image_detail.html", _detail_context(request, image))


def _detail_context(request: HttpRequest, image: ObservedImage) -> dict[str, object]:
    user = person(request)
    return {
        "image": image,
        "host": image.host,
        "facts": queries.image_facts(image, user=user),
        "may_tag": allowed(user, "image.tag"),
        "may_remove": allowed(user, "image.remove"),
        "may_create": allowed(user, "container.create"),
    }


@require_GET
def image_configuration(request: HttpRequest, host_id: UUID, image_id: str) -> HttpResponse:
    """What the engine says of an image now: configuration, layers, the whole answer. A fragment."""
    image = access_image(person(request), host_id, image_id, "image.view")
    context: dict[str, object] = {"host": image.host}
    try:
        found = gateway.call(image.host.endpoint, lambda engine: engine.inspect_image(image.image_id))
    except BackendError as error:
        context["reason"] = explain(error, name=image.name or image_id[:12], host=image.host.name)
    else:
        configuration = queries.image_configuration(found)
        context["configuration"] = configuration
        context["inspect"] = json.dumps(configuration.inspect, indent=2, sort_keys=True, ensure_ascii=False)
    return render(request, "images/_configuration.html", context)


@require_http_methods(["GET", "POST"])
def image_tag(request: HttpRequest, host_id: UUID, image_id: str) -> HttpResponse:
    """Give an image another name."""
    user = person(request)
    image = access_image(user, host_id, image_id, "image.tag")
    form = TagForm(request.POST if request.method == "POST" else None)
    template = "images/_tag.html" if is_fragment(request) else "images/image_tag.html"
    context = {"form": form, "image": image, "row": queries.image_facts(image, user=user).row}
    if request.method == "GET":
        return render(request, template, context)
    if not form.is_valid():
        return render(request, template, context, status=422)
    repository, tag = form.repository_and_tag
    operation = services.tag_image(actor=user, image=image, repository=repository, tag=tag, origin=origin_of(request))
    if wants_json(request):
        return accepted(operation)
    return _answer(request, operation, url=_url(image))


@require_POST
def image_remove(request: HttpRequest, host_id: UUID, image_id: str) -> HttpResponse:
    """Take a name from an image, or remove it with all its names."""
    user = person(request)
    image = access_image(user, host_id, image_id, "image.remove")
    reference = request.POST.get("reference", "")
    if reference and reference not in image.tags:
        raise BadInput(_("This image is not called that. Reload the page to see its names."))
    operation = services.remove_image(actor=user, image=image, reference=reference, origin=origin_of(request))
    if wants_json(request):
        return accepted(operation)
    operation = wait_for(operation)
    is_gone = not ObservedImage.objects.filter(pk=image.pk).exists()
    return _answer(request, operation, url=reverse("image-list") if is_gone else _url(image))


def _url(image: ObservedImage) -> str:
    return reverse("image-detail", args=[image.host_id, image.image_id.removeprefix("sha256:")])


def _answer(request: HttpRequest, operation: Operation, *, url: str) -> HttpResponse:
    """Lead to ``url`` and say there how the operation ended, or that it goes on."""
    operation = wait_for(operation)
    return lead_to(request, url, operation=operation, done=str(_DONE[operation.kind]) % {"name": operation.object_name})
