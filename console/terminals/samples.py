"""A sample of statistics as what the charts take."""

from __future__ import annotations

from typing import Any

from console.gateway import Stats


def sample_frame(sample: Stats) -> dict[str, Any]:
    """Return the control frame of ``sample``: sizes in bytes, time in Unix seconds, CPU in cores."""
    return {
        "type": "sample",
        "at": sample.observed_at.timestamp(),
        "cpu_cores": round(sample.cpu_cores, 4),
        "memory_bytes": sample.memory_bytes,
        "memory_limit_bytes": sample.memory_limit_bytes,
        "network_received_bytes": sample.network_received_bytes,
        "network_sent_bytes": sample.network_sent_bytes,
        "block_read_bytes": sample.block_read_bytes,
        "block_written_bytes": sample.block_written_bytes,
        "pids": sample.pids,
    }
