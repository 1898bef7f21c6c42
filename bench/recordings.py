"""Who typed ``DROP TABLE`` this month: a search through what 10,000 recordings showed, and a list without one."""

from __future__ import annotations

import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from bench.console import Browser, Console, console
from bench.table import Figure, percentile, show

if TYPE_CHECKING:
    from console.recordings.models import Recording, RecordingText

RECORDINGS: Final = 10_000
#: Characters that each of them showed.
SHOWN: Final = 4_000
#: One in so many dropped a table.
RARE: Final = 1_000
_AT_ONCE: Final = 2_500
_ROUNDS: Final = 15
_WARM_UP: Final = 2
_BUDGET: Final = 1_000


def main() -> int:
    """Measure and print; 1 when over budget."""
    with console() as running:
        browser = running.sign_in_first_admin()
        for start in range(0, RECORDINGS, _AT_ONCE):
            running.manage("shell", "-c", f"from bench.recordings import fill; fill({start}, {_AT_ONCE})")
        size = _size(running)
        searches = {
            "a command that ten typed": {"q": "DROP TABLE", "since": _month_ago()},
            "of one person, in one container": {"q": "drop table", "person": "person-0", "container": "web-1"},
            "a part of a path": {"q": "nginx/conf.d"},
            "a word on every screen": {"q": "root@"},
            "two letters": {"q": "ls"},
            "what nobody ever saw": {"q": "no such words"},
        }
        plain = [_timed(browser, {}) for _round in range(_ROUNDS)]
        found = {name: [_timed(browser, wanted) for _round in range(_ROUNDS)] for name, wanted in searches.items()}
    reference = percentile(plain[_WARM_UP:], 0.5)
    return show(
        f"bench recordings: {RECORDINGS} recordings, each showed {SHOWN} characters ({size}); medians of {_ROUNDS}",
        [
            Figure(
                name=name,
                value=percentile(times[_WARM_UP:], 0.5),
                unit="ms",
                reference=reference,
                reference_name="the list without a search",
                budget=_BUDGET,
            )
            for name, times in found.items()
        ],
    )


def _month_ago() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 30 * 86_400))


def _timed(browser: Browser, wanted: dict[str, str]) -> float:
    began = time.perf_counter()
    answer = browser.get(f"/recordings/?{urlencode(wanted)}")
    taken = (time.perf_counter() - began) * 1000
    if answer.status != 200:
        raise RuntimeError(f"the list is no list: {answer.status}")
    if "DROP TABLE" in wanted.values() and answer.text.count("<mark>DROP TABLE</mark>") != RECORDINGS // RARE:
        raise RuntimeError("not every recording that showed it was found")
    return taken


def _size(running: Console) -> str:
    # Pages that were freed count too; here there are none.
    code = "from django.conf import settings; print(settings.DATABASES['default']['NAME'].stat().st_size // 10**6)"
    return f"{running.manage('shell', '-c', code).split()[-1]} MB of database"


def fill(start: int, count: int) -> None:
    """Make ``count`` recordings, number ``start`` the first, as if they had ended lately."""
    from uuid import UUID

    from django.utils import timezone

    from console.recordings.models import Recording, RecordingState, RecordingText

    now = timezone.now()
    recordings: list[Recording] = []
    texts: list[RecordingText] = []
    for number in range(start, start + count):
        recording = Recording(
            session_id=UUID(int=number + 1),
            person_name=f"person-{number % 50}",
            host_name=f"host-{number % 10}",
            container_id=f"{number:064x}",
            container_name=f"web-{number % 100}",
            path=f"2026/01/{number}.cast",
            state=RecordingState.COMPLETE,
            started_at=now - timedelta(minutes=number),
            ended_at=now - timedelta(minutes=number - 1),
            keep_days=30,
            keep_until=now + timedelta(days=30),
            is_indexed=True,
            indexed_size=SHOWN,
        )
        recordings.append(recording)
        lines = _shown(number)
        texts.append(
            RecordingText(recording=recording, text="\n".join(lines), times=[float(at) for at in range(len(lines))])
        )
    Recording.objects.bulk_create(recordings)
    RecordingText.objects.bulk_create(texts, batch_size=200)


def _shown(number: int) -> list[str]:
    """Return what a plausible session showed."""
    chance = random.Random(number)
    programs = ("ls -la", "ps aux", "df -h", "tail -n 50 /var/log/app.log", "cat /etc/hosts", "systemctl status app")
    lines = []
    size = 0
    while size < SHOWN:
        line = f"root@web-{number % 100}:/srv/app-{chance.randrange(500)}# {chance.choice(programs)}"
        lines.append(line)
        for _line in range(chance.randrange(2, 9)):
            lines.append(
                f"-rw-r--r-- 1 root root {chance.randrange(10**6)} Jan {chance.randrange(1, 29)} "
                f"{''.join(chance.choices('abcdefghijklmnopqrstuvwxyz', k=chance.randrange(4, 12)))}.conf"
            )
        size += sum(map(len, lines[-9:])) // 2
    if number % RARE == 0:
        lines.insert(len(lines) // 2, "shop=> DROP TABLE orders_old;")
    if number % (RARE // 4) == 0:
        lines.append("nginx: the configuration file /etc/nginx/conf.d/site.conf syntax is ok")
    return lines
