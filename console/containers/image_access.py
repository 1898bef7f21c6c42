"""Fetching and authorising in one call, for images."""

from __future__ import annotations

from uuid import UUID

from django.utils.translation import gettext as _

from console.accounts.models import User
from console.hosts.access import access_host
from console.inventory.models import ImageQuerySet, ObservedImage
from console.lib.problems import Missing
from console.rbac.access import check


def access_images(user: User) -> ImageQuerySet:
    """Return the images that ``user`` may know of. Raises ``Refused`` when he may know of none by his role."""
    check(user, "image.view")
    images: ImageQuerySet = ObservedImage.objects.visible_to(user)
    return images


def access_image(user: User, host_id: UUID, digits: str, action: str) -> ObservedImage:
    """Return the image with its host, for ``user`` to do ``action`` with. ``digits`` is its full id without "sha256:".

    Raises ``Missing`` when the user may not know of it or it is not there, ``PermissionDenied`` when he may see it and
    not act.
    """
    host = access_host(user, host_id, action)
    # Older versions of Podman leave the prefix away.
    found = ObservedImage.objects.visible_to(user).filter(host=host, image_id__in=[f"sha256:{digits}", digits])
    image: ObservedImage | None = found.first()
    if image is None:
        raise Missing(_("This image does not exist."))
    image.host = host
    return image
