"""The supervisor keeps its programs alive and leaves none behind."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

from launcher.supervisor import STOP_TIMEOUT
from tests.launcher.conftest import Supervised, is_alive, wait_for

Supervise = Callable[..., Supervised]


def test_what_a_program_prints_carries_its_name(supervise: Supervise) -> None:
    running = supervise('supervisor.start(shell("web", "echo one; echo two >&2; sleep 60"))')
    wait_for(lambda: running.lines() == ["web       | one", "web       | two"])


def test_json_lines_gain_the_name_of_the_process(supervise: Supervise) -> None:
    running = supervise(
        """
        line = '{\\\\"event\\\\": \\\\"hello\\\\", \\\\"level\\\\": \\\\"info\\\\"}'
        supervisor.start(shell("web", f'echo "{line}"; echo plain; sleep 60'))
        """,
        "--json",
    )
    wait_for(lambda: len(running.lines()) == 2)
    assert [json.loads(line) for line in running.lines()] == [
        {"process": "web", "event": "hello", "level": "info"},
        {"process": "web", "event": "plain"},
    ]


def test_hidden_lines_are_not_shown(supervise: Supervise) -> None:
    running = supervise(
        'supervisor.start(shell("engine", "echo level=info; echo seen; sleep 60", hide=("level=info",)))'
    )
    wait_for(lambda: running.lines() == ["engine    | seen"])


def test_a_program_that_dies_is_started_again(supervise: Supervise) -> None:
    running = supervise(
        'supervisor.start(shell("web", "echo $$ > $FOLDER/new; mv $FOLDER/new $FOLDER/web; exec sleep 60"))'
    )
    first = running.pid("web")
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: running.pid("web") != first)
    assert "was ended by SIGKILL; it starts again in 0.2 s" in running.output.read_text()


def test_a_program_that_keeps_dying_is_started_ever_more_slowly(supervise: Supervise) -> None:
    running = supervise('supervisor.start(shell("web", "exit 3"))')
    wait_for(lambda: len(running.lines()) >= 3)
    assert running.lines()[:3] == [
        f"web       | ended with exit code 3; it starts again in {delay} s" for delay in ("0.2", "0.5", "1")
    ]


def test_a_program_that_does_not_exist_is_named(supervise: Supervise) -> None:
    running = supervise(
        'supervisor.start(Program(name="web", command=["/nowhere/web"], env={}, cwd=Path("/")))',
    )
    wait_for(lambda: "/nowhere/web" in running.output.read_text())


def test_children_of_a_dead_program_die_with_it(supervise: Supervise) -> None:
    running = supervise(
        'supervisor.start(shell("web", "sleep 600 & echo $! > $FOLDER/child; echo $$ > $FOLDER/web; wait"))'
    )
    child, web = running.pid("child"), running.pid("web")
    os.kill(web, signal.SIGKILL)
    wait_for(lambda: not is_alive(child))


def test_ctrl_c_ends_everything(supervise: Supervise) -> None:
    running = supervise('supervisor.start(shell("web", "sleep 600 & echo $! > $FOLDER/child; wait"))')
    child = running.pid("child")
    assert running.stop(signal.SIGINT) < STOP_TIMEOUT
    assert running.process.returncode == 0
    assert not is_alive(child)


def test_a_program_that_ignores_the_signal_is_killed_in_time(supervise: Supervise) -> None:
    running = supervise(
        """
        deaf = "trap '' TERM; echo $$ > $FOLDER/{}; while :; do sleep 1; done"
        supervisor.start(shell("engine", deaf.format("engine"), service=True))
        supervisor.start(shell("web", deaf.format("web")))
        """
    )
    pids = [running.pid("engine"), running.pid("web")]
    assert running.stop() < STOP_TIMEOUT
    assert not any(map(is_alive, pids))


def test_an_orphan_in_a_session_of_its_own_is_found(supervise: Supervise) -> None:
    running = supervise(
        """supervisor.start(shell("web", "setsid sh -c 'echo $$ > $FOLDER/orphan; exec sleep 600' & sleep 600"))"""
    )
    orphan = running.pid("orphan")
    running.stop()
    assert not is_alive(orphan)


def test_services_stop_after_the_applications(supervise: Supervise) -> None:
    running = supervise(
        """
        text = "trap '{}; echo ends; exit' TERM; echo $$ > $FOLDER/{}; while :; do sleep 0.1; done"
        supervisor.start(shell("redis", text.format("true", "redis"), service=True))
        supervisor.start(shell("web", text.format("sleep 0.3", "web")))
        """
    )
    running.pid("redis"), running.pid("web")
    running.stop()
    ends = [line for line in running.lines() if line.endswith("ends")]
    assert ends == ["web       | ends", "redis     | ends"]


def test_a_second_signal_ends_it_at_once(supervise: Supervise) -> None:
    running = supervise(
        """
        text = "trap 'echo 1 > $FOLDER/asked' TERM; echo $$ > $FOLDER/web; while :; do sleep 0.1; done"
        supervisor.start(shell("web", text))
        """
    )
    web = running.pid("web")
    running.process.send_signal(signal.SIGINT)
    running.pid("asked")
    assert running.stop(signal.SIGINT) < 1.5
    assert not is_alive(web)


def test_killing_the_supervisor_kills_its_programs(supervise: Supervise) -> None:
    running = supervise('supervisor.start(shell("web", "echo $$ > $FOLDER/web; exec sleep 600"))')
    web = running.pid("web")
    running.process.kill()
    running.process.wait()
    wait_for(lambda: not is_alive(web))


def test_a_program_run_once_hands_over_its_lines(supervise: Supervise) -> None:
    running = supervise('print(await supervisor.run_once(shell("link", "echo hello; exit 4")), flush=True)')
    wait_for(lambda: running.lines() == ["(4, ['hello'])"])


def test_a_closed_terminal_does_not_stop_the_end(supervise: Supervise) -> None:
    running = supervise(
        """
        supervisor.start(shell("web", "while :; do echo line; echo $$ > $FOLDER/web; sleep 0.05; done"))
        reader, writer = os.pipe()
        os.dup2(writer, 1)
        os.close(reader)
        """
    )
    web = running.pid("web")
    assert running.stop() < STOP_TIMEOUT
    assert running.process.returncode == 0
    assert not is_alive(web)
