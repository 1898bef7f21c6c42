"""Files into a container and out of it, from the folder that the shell stands in."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console
from tests.browser.test_terminal import enter, open_shell


@pytest.fixture(scope="module")
def box(console: Console) -> Iterator[str]:
    """A container that has a shell."""
    console.engine.run("crates")
    yield "crates"
    console.engine.remove("crates")


def test_files_go_where_the_shell_stands_and_come_back(
    box: str, signed_in: Callable[..., Page], tmp_path: Path
) -> None:
    content = random.Random(11).randbytes(3_000_000)
    (tmp_path / "big 1.bin").write_bytes(content)
    (tmp_path / "note.txt").write_text("first")
    page = signed_in()
    shown = open_shell(page, box)
    enter(page, "mkdir -p /tmp/crate && cd /tmp/crate && echo in-$((1+1))")
    expect(shown).to_contain_text("in-2")

    page.get_by_role("button", name="Files", exact=True).click()
    panel = page.get_by_role("dialog", name="Files", exact=True)
    expect(panel.get_by_label("Folder to upload into")).to_have_value("/tmp/crate")
    expect(panel).to_contain_text("Up to 1 GB a file")
    panel.locator("input[type=file]").set_input_files([tmp_path / "big 1.bin", tmp_path / "note.txt"])
    expect(panel.locator("li", has_text="big 1.bin")).to_contain_text("2.9 MB uploaded")
    expect(panel.locator("li", has_text="note.txt")).to_contain_text("5 B uploaded")

    # What is there goes only when the person says so.
    (tmp_path / "note.txt").write_text("second")
    panel.locator("input[type=file]").set_input_files(tmp_path / "note.txt")
    asked = panel.locator("li", has_text="/tmp/crate/note.txt exists already.")
    asked.get_by_role("button", name="Replace").click()
    expect(panel.locator("li", has_text="6 B uploaded")).to_be_visible()

    # What cannot be said so, in its place.
    panel.get_by_label("Folder to upload into").fill("/nowhere")
    panel.locator("input[type=file]").set_input_files(tmp_path / "note.txt")
    expect(panel.locator("li[data-state=failed]")).to_contain_text("There is no /nowhere in this container.")
    panel.get_by_label("File or folder to download").fill("/tmp/crate/nothing")
    panel.get_by_role("button", name="Download").click()
    expect(panel.get_by_role("alert")).to_contain_text("There is no /tmp/crate/nothing in this container.")

    panel.get_by_label("File or folder to download").fill("/tmp/crate/big 1.bin")
    with page.expect_download() as started:
        panel.get_by_role("button", name="Download").click()
    assert started.value.suggested_filename == "big 1.bin"
    assert started.value.path().read_bytes() == content
    panel.get_by_label("File or folder to download").fill("/tmp/crate/")
    with page.expect_download() as started:
        panel.get_by_role("button", name="Download").click()
    assert started.value.suggested_filename == "crate.tar"
    assert b"second" in started.value.path().read_bytes()

    # The page and its terminal are still there; a file that is dropped on it goes the same way.
    page.keyboard.press("Escape")
    expect(page.locator("#terminal .stream-state")).to_have_text("Connected")
    page.locator("#terminal .terminal").first.evaluate(
        """(root) => {
            const data = new DataTransfer();
            data.items.add(new File(["dropped"], "dropped.txt"));
            for (const name of ["dragenter", "dragover", "drop"]) {
                root.dispatchEvent(new DragEvent(name, { dataTransfer: data, bubbles: true, cancelable: true }));
            }
        }"""
    )
    expect(panel.locator("li", has_text="dropped.txt")).to_contain_text("7 B uploaded")
    page.keyboard.press("Escape")
    page.locator("#terminal .xterm").click()
    enter(page, "clear; sha256sum 'big 1.bin' | head -c 40; echo; cat note.txt; ls; echo")
    expect(shown).to_contain_text(hashlib.sha256(content).hexdigest()[:40])
    expect(shown).to_contain_text("second")
    expect(shown).not_to_contain_text(".part")
