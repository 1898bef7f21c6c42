"""A team with a host, a policy and a quota."""

from __future__ import annotations

from tests.console.policies.teams import bob_in_red, red, set_policy

__all__ = ["bob_in_red", "red", "set_policy"]
