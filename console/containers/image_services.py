"""Every change to an image: one sentence each. The worker does what they ask for (see image_handlers)."""

from __future__ import annotations

from console.accounts.models import User
from console.gateway import RegistryCredentials
from console.hosts.models import Host
from console.inventory.models import ObservedImage
from console.lib.origin import Origin
from console.operations.models import Operation
from console.operations.services import enqueue


def pull_image(
    *,
    actor: User,
    host: Host,
    reference: str,
    credentials: RegistryCredentials | None = None,
    origin: Origin | None = None,
) -> Operation:
    """``actor`` has ``host`` pull ``reference``.

    Credentials are kept encrypted with the operation until it succeeds; after another end for an hour, for its retries.
    """
    arguments: dict[str, object] = {"reference": reference}
    if credentials is not None:
        arguments["credentials"] = {
            "username": credentials.username,
            "password": credentials.password,
            "server_address": credentials.server_address,
        }
    return enqueue(
        actor=actor,
        kind="image.pull",
        host=host,
        object_id=reference,
        object_name=reference,
        arguments=arguments,
        origin=origin,
    )


def tag_image(
    *, actor: User, image: ObservedImage, repository: str, tag: str, origin: Origin | None = None
) -> Operation:
    """``actor`` gives ``image`` the further name ``repository:tag``."""
    return enqueue(
        actor=actor,
        kind="image.tag",
        host=image.host,
        object_id=image.image_id,
        object_name=f"{repository}:{tag}",
        arguments={"repository": repository, "tag": tag},
        origin=origin,
    )


def remove_image(*, actor: User, image: ObservedImage, reference: str = "", origin: Origin | None = None) -> Operation:
    """``actor`` takes the name ``reference`` from ``image``, or removes the image with all its names."""
    return enqueue(
        actor=actor,
        kind="image.remove",
        host=image.host,
        object_id=image.image_id,
        object_name=reference or image.name or image.image_id.removeprefix("sha256:")[:12],
        arguments={"reference": reference},
        origin=origin,
    )
