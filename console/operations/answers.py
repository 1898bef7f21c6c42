"""What programs are answered that ask for a change: the operation, which goes on, and where to follow it."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from django.http import JsonResponse
from django.urls import reverse

from console.operations.models import Operation
from console.operations.queries import as_json


def accepted(operation: Operation) -> JsonResponse:
    """Answer at once that ``operation`` was asked for; a program waits for its end as it likes."""
    url = reverse("operation-detail", args=[operation.pk])
    return JsonResponse(as_json(operation), status=HTTPStatus.ACCEPTED, headers={"Location": url})


def accepted_all(operations: Sequence[Operation]) -> JsonResponse:
    """Answer at once that each of ``operations`` was asked for."""
    items = [as_json(operation) for operation in operations]
    return JsonResponse({"items": items, "total": len(items)}, status=HTTPStatus.ACCEPTED)
