"""Preparing a clone: only what changed is done again."""

from __future__ import annotations

from pathlib import Path

import polib
import pytest

from launcher import check_translations, prepare, processes, stamps, system
from launcher.paths import DataDir
from launcher.say import Trouble
from tests.launcher.conftest import pilothouse


def test_a_stamp_is_fresh_until_an_input_changes(tmp_path: Path) -> None:
    listed, stamp = tmp_path / "base.txt", tmp_path / "stamp"
    listed.write_text("django==5.2")
    stamp.write_text(stamps.digest(files=[listed]))
    assert stamps.is_fresh(stamp, stamps.digest(files=[listed]))
    listed.write_text("django==5.2.1")
    assert not stamps.is_fresh(stamp, stamps.digest(files=[listed]))


def test_a_missing_stamp_is_not_fresh(tmp_path: Path) -> None:
    assert not stamps.is_fresh(tmp_path / "stamp", stamps.digest("anything"))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that would have been run."""
    made: list[str] = []

    def run(command: list[object], **_options: object) -> str:
        made.append(" ".join(map(str, command)))
        return ""

    monkeypatch.setattr(prepare, "run", run)
    return made


def _verbs(calls: list[str]) -> list[str]:
    return [call.split("manage.py ")[1].split()[0] for call in calls]


def test_the_database_is_migrated_once(tmp_path: Path, calls: list[str]) -> None:
    data_dir = DataDir.open(tmp_path)
    (tmp_path / "pilothouse.sqlite3").touch()
    prepare.database(data_dir, env={})
    prepare.database(data_dir, env={})
    assert _verbs(calls) == ["migrate"]


def test_a_removed_database_is_made_again(tmp_path: Path, calls: list[str]) -> None:
    data_dir = DataDir.open(tmp_path)
    prepare.database(data_dir, env={})
    prepare.database(data_dir, env={})
    assert _verbs(calls) == ["migrate"] * 2


def test_a_servers_database_is_always_asked(tmp_path: Path, calls: list[str]) -> None:
    data_dir = DataDir.open(tmp_path)
    prepare.database(data_dir, env={"DATABASE_URL": "postgresql://db/pilothouse"})
    prepare.database(data_dir, env={"DATABASE_URL": "postgresql://db/pilothouse"})
    assert _verbs(calls) == ["migrate"] * 2


def test_a_step_that_failed_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_dir = DataDir.open(tmp_path)

    def fail(_command: list[str], **_options: object) -> str:
        raise Trouble("no space left")

    monkeypatch.setattr(prepare, "run", fail)
    with pytest.raises(Trouble):
        prepare.static_files(data_dir, env={})
    assert not (tmp_path / "static.stamp").exists()


def test_static_files_are_collected_once(tmp_path: Path, calls: list[str]) -> None:
    data_dir = DataDir.open(tmp_path)
    (tmp_path / "static").mkdir()
    prepare.static_files(data_dir, env={})
    prepare.static_files(data_dir, env={})
    assert _verbs(calls) == ["collectstatic"]


def test_assets_are_copied_and_old_ones_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "ROOT", tmp_path)
    package = tmp_path / "node_modules" / "kit"
    (package / "fonts").mkdir(parents=True)
    (package / "kit.js").write_text("kit")
    (package / "fonts" / "a.woff2").write_text("font")
    goal = tmp_path / "vendor"
    goal.mkdir()
    (goal / "old.js").touch()
    prepare.copy_assets({"kit/kit.js": "kit/kit.js", "kit/fonts": "fonts"}, into=goal)
    assert sorted(str(path.relative_to(goal)) for path in goal.rglob("*") if path.is_file()) == [
        "fonts/a.woff2",
        "kit/kit.js",
    ]


def test_an_asset_that_the_packages_lack_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "ROOT", tmp_path)
    with pytest.raises(Trouble, match=r"names kit/gone\.js"):
        prepare.copy_assets({"kit/gone.js": "kit.js"}, into=tmp_path / "vendor")


def test_a_recent_node_of_the_machine_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/somewhere")
    monkeypatch.setattr(system, "has", lambda _program: True)
    monkeypatch.setattr("shutil.which", lambda _program: "/somewhere/node")
    monkeypatch.setattr(prepare, "run", lambda _command: "v20.20.2\n")
    assert prepare._path_with_node() == "/somewhere"


def test_an_old_node_is_passed_over_for_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/somewhere")
    monkeypatch.setenv("PILOTHOUSE_VENV", str(tmp_path))
    monkeypatch.setattr(system, "has", lambda _program: True)
    monkeypatch.setattr("shutil.which", lambda _program: "/somewhere/node")
    monkeypatch.setattr(prepare, "run", lambda _command: "v18.19.0\n")
    installed: list[Path] = []
    monkeypatch.setattr(prepare, "_pip_install", installed.append)
    assert prepare._path_with_node() == f"{tmp_path}/bin:/somewhere"
    assert [path.name for path in installed] == ["node.txt"]


def test_without_venv_the_distributions_package_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILOTHOUSE_VENV", str(tmp_path / "venv"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    installed: list[str] = []
    monkeypatch.setattr(system, "install", lambda packages, *, why: installed.extend(packages))
    monkeypatch.setattr(prepare, "run", lambda *_arguments, **_options: "")
    prepare._make_venv()
    assert len(installed) == 1
    assert installed[0].startswith("python3.")
    assert installed[0].endswith("-venv")


def test_where_packages_cannot_be_installed_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "can_install", lambda: False)
    with pytest.raises(Trouble, match=r"needs podman\. On Debian or Ubuntu, as root: apt-get install podman"):
        system.install(["podman"], why="the test suite")


def test_a_program_that_fails_shows_the_end_of_its_output() -> None:
    with pytest.raises(Trouble, match=r"failed with exit code 3\. The end of its output:\n    no space left"):
        processes.run(["sh", "-c", "echo no space left >&2; exit 3"])


def test_a_program_that_does_not_exist_is_named() -> None:
    with pytest.raises(Trouble, match="/nowhere/npm cannot be started: No such file or directory"):
        processes.run(["/nowhere/npm", "ci"])


def test_manage_reaches_django_with_the_same_data(tmp_path: Path) -> None:
    done = pilothouse(
        "manage",
        "shell",
        "-v0",
        "-c",
        "from django.conf import settings as s; print(s.DATA_DIR, s.REDIS_URL)",
        PILOTHOUSE_DATA_DIR=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    data_dir, redis_url = done.stdout.split()[-2:]
    assert data_dir == str(tmp_path)
    assert redis_url.endswith(f"@{tmp_path}/redis/redis.sock")


def test_gaps_in_a_translation_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "ko" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    catalogue = polib.POFile()
    catalogue.append(polib.POEntry(msgid="Start", msgstr="시작", occurrences=[("a.html", "1")]))
    catalogue.append(polib.POEntry(msgid="Stop", msgstr="", occurrences=[("b.html", "1")]))
    catalogue.append(polib.POEntry(msgid="Kill", msgstr="멈춤", occurrences=[("c.html", "1")], flags=["fuzzy"]))
    catalogue.append(polib.POEntry(msgid="Gone", msgstr="", obsolete=True))
    catalogue.save(str(folder / "django.po"))
    assert check_translations.find_gaps(tmp_path) == [
        "ko: 'Stop', used in b.html",
        "ko: 'Kill' (only guessed), used in c.html",
    ]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been installed to ask a directory: packages of the distribution, and lists of Python's."""
    made: list[str] = []
    monkeypatch.setenv("PILOTHOUSE_VENV", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path / "nowhere"))
    monkeypatch.setattr(system, "has", lambda _program: False)
    monkeypatch.setattr(system, "install", lambda packages, *, why: made.extend(packages))
    monkeypatch.setattr(prepare, "_pip_install", lambda path: made.append(path.name))
    return made


def test_what_asks_a_directory_is_installed_where_one_is_set_up_and_once(tmp_path: Path, library: list[str]) -> None:
    path = tmp_path / "sign-in.toml"
    path.write_text("[ldap]\n")
    prepare.directory(str(path))
    assert {"gcc", "libc6-dev", "ldap.txt"} <= {*library}
    assert any(name.startswith("python3.") and name.endswith("-dev") for name in library)
    library.clear()
    prepare.directory(str(path))
    assert library == []


@pytest.mark.parametrize("text", ["", '[oidc]\nissuer = "https://id.example.com"\n'])
def test_without_a_directory_nothing_is_installed_for_one(tmp_path: Path, library: list[str], text: str) -> None:
    path = tmp_path / "sign-in.toml"
    path.write_text(text)
    prepare.directory(str(path))
    prepare.directory("")
    assert library == []


@pytest.mark.parametrize("text", [None, "[ldap"])
def test_a_file_for_signing_in_that_cannot_be_read_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "sign-in.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(Trouble, match=r"PILOTHOUSE_SIGN_IN_FILE names .*sign-in\.toml"):
        prepare.directory(str(path))
