"""The same as for volumes."""

from tests.console.volumes.conftest import (  # noqa: F401
    as_,
    ask,
    blue,
    make_container,
    make_network,
    make_volume,
    red,
    worker,
)
