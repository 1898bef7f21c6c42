"""Who may read the record."""

from __future__ import annotations

from django.db.models import QuerySet

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.rbac.access import check


def access_audit(user: User) -> QuerySet[AuditEvent]:
    """Return the rows that ``user`` may read. Raises ``Refused``."""
    check(user, "audit.view")
    return AuditEvent.objects.all()
