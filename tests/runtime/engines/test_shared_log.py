"""Many who follow one log cost the engine one stream."""

import asyncio
from pathlib import Path

from runtime import ContainerSpec, connect
from runtime.hub.logs import LogHub
from runtime.hub.messages import FollowLog
from runtime.testing.tap import EngineTap
from tests.engines import PrivateEngine
from tests.runtime.conftest import IMAGE
from tests.runtime.viewers import LogViewer

LINES = [b"line %d" % number for number in range(1, 2001)]


async def test_fifty_viewers_cost_the_engine_one_stream(dockerd: PrivateEngine, socket_directory: Path) -> None:
    assert dockerd.endpoint.socket_path is not None
    with EngineTap(Path(dockerd.endpoint.socket_path), listen=socket_directory / "tap.sock") as tap:
        engine = connect(tap.endpoint)
        hub = LogHub(lambda _endpoint: engine)
        script = "echo ready; read go; seq 1 2000 | sed 's/^/line /'; sleep 1000"
        container_id = await engine.create_container(
            ContainerSpec(name="said", image=IMAGE, command=("sh", "-c", script), open_stdin=True)
        )
        await engine.start_container(container_id)
        order = FollowLog(endpoint={}, container_id=container_id, tty=False, tail=500)
        viewers = [LogViewer(hub, order) for _ in range(50)]
        for viewer in viewers:
            await viewer.lines(1)
        terminal = await engine.attach(container_id, tty=False)
        await terminal.write(b"go\n")
        for viewer in viewers:
            assert await viewer.lines(2001) == [b"ready", *LINES]
        asked = [request.query["follow"] for request in tap.requests if request.path.endswith("/logs")]
        assert asked.count("1") == 1
        # And what was there already, once for each.
        assert asked.count("0") == 50
        await terminal.close()
        await asyncio.gather(*(viewer.leave() for viewer in viewers))
        await hub.close()
        await engine.remove_container(container_id, force=True)
        await engine.close()
