"""The suite's private PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from launcher import postgres
from launcher.say import Trouble


def test_it_answers_on_a_socket_and_leaves_nothing_behind() -> None:
    with postgres.cluster() as url:
        folder = Path(url.partition("host=")[2])
        with psycopg.connect(url) as connection:
            answer = connection.execute(
                "SELECT current_setting('listen_addresses'), current_setting('server_encoding')"
            )
            assert answer.fetchone() == ("", "UTF8")
        pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        assert Path(f"/proc/{pid}").exists()
    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_without_a_server_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "find_binaries", lambda: None)
    with pytest.raises(Trouble, match="apt-get install postgresql"), postgres.cluster():
        pass
