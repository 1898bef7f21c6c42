"""Many who ask at the same moment get as many as fit, and not one more."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from django.db import connection

from console.accounts.models import Membership, Role, Team, TeamRole, User
from console.containers.services import create_container
from console.gateway import ContainerSpec, PublishedPort
from console.hosts.models import Host
from console.operations.models import Operation
from console.policies.models import Reservation, ReservedPort
from console.policies.refusals import Denied
from console.rbac.models import HostGrant
from tests.console.policies.teams import policy

LAUNCHES, QUOTA = 100, 10


@pytest.mark.django_db(transaction=True)
def test_a_hundred_launches_at_once_against_a_quota_of_ten_give_ten() -> None:
    host = Host.objects.create(name="harbour", url="unix:///nowhere/harbour.sock")
    red = Team.objects.create(name="Red")
    HostGrant.objects.create(team=red, host=host, containers=QUOTA, first_port=8000, last_port=8099)
    policy(red, images=["starter:*"])
    people = []
    for number in range(4):
        person = User.objects.create_user(f"member-{number}", "correct horse battery", role=Role.USER)
        Membership.objects.create(team=red, person=person, role=TeamRole.MEMBER)
        people.append(person)
    outcomes: Counter[str] = Counter()
    begin = threading.Barrier(20)

    def launch(first: int) -> None:
        begin.wait()
        for number in range(first, LAUNCHES, 20):
            spec = ContainerSpec(
                name=f"web-{number}", image="starter:latest", ports=(PublishedPort(container_port=80),)
            )
            try:
                create_container(actor=people[number % 4], host=host, spec=spec, pull="never", start=True, team=red)
            except Denied as denied:
                outcomes[denied.code] += 1
            else:
                outcomes["accepted"] += 1
        connection.close()

    threads = [threading.Thread(target=launch, args=(first,)) for first in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)

    assert outcomes == {"accepted": QUOTA, "quota.containers": LAUNCHES - QUOTA}
    assert Operation.objects.count() == Reservation.objects.count() == QUOTA
    assert len(set(ReservedPort.objects.values_list("port", flat=True))) == QUOTA
