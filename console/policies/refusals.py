"""The refusal of what a policy or a quota does not allow."""

from __future__ import annotations

from collections.abc import Sequence

from console.policies.rules import Denial
from console.rbac.access import NamedHost, Refused


class Denied(Refused):
    """A team may not have this: each denial names its field, its rule and what to do next."""

    def __init__(
        self,
        action: str,
        denials: Sequence[Denial],
        *,
        host: NamedHost | None = None,
        object_id: str = "",
        object_name: str = "",
    ) -> None:
        first = denials[0]
        super().__init__(
            action, message=first.message, code=first.code, host=host, object_id=object_id, object_name=object_name
        )
        self.denials = tuple(denials)
        #: For the page that answers.
        self.next_step = first.next_step
