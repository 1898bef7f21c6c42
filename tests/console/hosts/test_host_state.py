"""What watch writes about a host: only under the address that it was seen under."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.gateway import EngineInfo
from console.hosts.models import Host, HostState
from console.hosts.services import lasting_engine_id, mark_reachable, mark_seen, mark_troubled
from tests.console.inventory.conftest import told

__all__ = ["told"]


def info(**values: Any) -> EngineInfo:
    given: dict[str, Any] = {"engine_id": "E1", "product": "Docker", "version": "27.0", **values}
    return EngineInfo(
        name="n",
        api_version="1.41",
        operating_system="o",
        kernel_version="k",
        architecture="x86_64",
        cpus=4,
        memory_bytes=1,
        storage_driver="s",
        cgroup_version="2",
        rootless=False,
        containers=1,
        containers_running=1,
        containers_paused=0,
        containers_stopped=0,
        images=1,
        warnings=("bad\nline",),
        **given,
    )


def test_a_good_answer_is_written_and_told_once(host: Host, told: list[str]) -> None:
    Host.objects.update(state=HostState.UNKNOWN)
    now = timezone.now()
    assert mark_reachable(host_id=host.id, revision=0, info=info(), now=now)
    after = Host.objects.get()
    assert (after.state, after.seen_at, after.state_changed_at, after.engine_id) == (
        HostState.REACHABLE,
        now,
        now,
        "E1",
    )
    assert after.info["warnings"] == ["bad\\nline"]
    assert told == ["hosts", f"host:{host.id}", "containers", "images"]
    told.clear()
    mark_reachable(host_id=host.id, revision=0, info=info(), now=now + timedelta(seconds=30))
    assert told == []
    assert Host.objects.get().state_changed_at == now


def test_an_edited_host_is_not_told_about_its_old_address(host: Host) -> None:
    Host.objects.update(revision=1, state=HostState.UNKNOWN)
    assert not mark_reachable(host_id=host.id, revision=0, info=info(), now=timezone.now())
    mark_troubled(host_id=host.id, revision=0, cause="refused", detail="", now=timezone.now())
    assert Host.objects.get().state == HostState.UNKNOWN


def test_trouble_keeps_the_time_it_began(host: Host, told: list[str]) -> None:
    now = timezone.now()
    mark_troubled(host_id=host.id, revision=0, cause="refused", detail="x", now=now)
    told.clear()
    later = now + timedelta(seconds=9)
    mark_troubled(host_id=host.id, revision=0, cause="refused", detail="x", now=later)
    assert told == []
    mark_troubled(host_id=host.id, revision=0, cause="no_route", detail="y", now=later)
    after = Host.objects.get()
    assert (after.state, after.cause, after.status, after.state_changed_at) == (
        HostState.UNREACHABLE,
        "no_route",
        "y",
        now,
    )


def test_a_host_in_trouble_is_not_fresh(host: Host) -> None:
    mark_troubled(host_id=host.id, revision=0, cause="refused", detail="", now=timezone.now())
    seen_at = Host.objects.get().seen_at
    mark_seen(host_ids=[host.id], now=timezone.now())
    assert Host.objects.get().seen_at == seen_at


@pytest.mark.parametrize(("product", "engine_id"), [("Docker", "E1"), ("Podman", ""), ("Podman Engine", "")])
def test_podman_makes_up_an_id_with_each_answer_so_it_has_none(product: str, engine_id: str) -> None:
    assert lasting_engine_id(info(product=product)) == engine_id
