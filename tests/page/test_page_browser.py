"""The page in headless Chromium, where there is one: what a person really sees.

With SCREENSHOT=1 the digits test also writes docs/images/lab.png.
"""

from __future__ import annotations

import asyncio
import html
import io
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from lab.daemon import listener
from lab.page.server import page_server
from tests.emulator.in_process_lab import InProcessLab
from tests.lifecycle.checkout import ROOT, Checkout

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Those from --disable-quic on keep it from looking for its makers' hosts.
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,1130"),
    *("--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--virtual-time-budget=4000"),
)
HOSTILE = "<img src=x onerror=\"document.title='hurt'\"><script>document.title='hurt'</script>"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH (Debian: apt-get install chromium)")


def browse(folder: Path, address: str, *options: str) -> str:
    """Load a page, let its script run, and return what it has become."""
    assert CHROMIUM
    profile = folder / "profile"
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *options, address],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    shutil.rmtree(profile, ignore_errors=True)
    return done.stdout


def text_of(dom: str) -> str:
    """The words of a document, each element's on its own."""
    body = re.sub(r"<(script|style)>.*?</\1>", "", dom, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)))


@contextmanager
def served(lab: InProcessLab) -> Iterator[str]:
    """The page over a real socket, in a thread; its address."""
    bound = listener(0)
    server = page_server(lab.app.cloud, bound)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[bound])))
    thread.start()
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()
        bound.close()


def test_what_jobs_say_is_text_and_never_markup(tmp_path: Path) -> None:
    lab = InProcessLab(tmp_path / "home")
    lab.deployed().invoke(name=HOSTILE)
    lab.advance()
    driver = lab.scripted.started[0]
    log = driver.spec.parent / "logs" / "user_logs" / "std_log_0.txt"
    log.parent.mkdir(parents=True)
    log.write_text(f"log {HOSTILE}\n", encoding="utf-8")
    driver.finish("Failed", error={"code": "UserError", "message": f"error {HOSTILE}"})
    lab.advance()

    with served(lab) as address:
        dom = browse(tmp_path, address, "--dump-dom")
    lab.close()

    assert "<title>lab</title>" in dom
    assert "<img" not in dom
    shown = text_of(dom)
    assert [word for word in (f"log {HOSTILE}", f"error {HOSTILE}") if re.sub(r"\s+", " ", word) not in shown] == []


def test_an_empty_lab_says_how_to_begin(tmp_path: Path) -> None:
    lab = InProcessLab(tmp_path / "home")

    with served(lab) as address:
        dom = browse(tmp_path, address, "--dump-dom")
    lab.close()

    assert "make up" in text_of(dom)
    assert 'class="away"' not in dom


def test_the_digits_stack_can_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "checkout").mkdir()
    checkout = Checkout(tmp_path / "checkout", "embedded")
    try:
        checkout.succeed("up")
        address = checkout.lab.facts.page
        shown = text_of(browse(tmp_path, address, "--dump-dom"))
        if os.environ.get("SCREENSHOT"):
            _take(tmp_path, address)
    finally:
        checkout.lab.stop()

    assert re.search(r"digits-[0-9a-f]{8} +default +digits-[0-9a-f]{8}:1", shown)
    for words in ("8 of 8 done, 0 failed", "180 of 180 scored", "Azure Machine Learning Batch Inference Start"):
        assert words in shown
    assert re.search(r"first rows of predictions\.csv +0000-label-0\.png +0 ", shown)
    assert re.search(r"ARM +PUT +…/batchEndpoints/batch-scoring-[0-9a-f]+", shown)


def _take(folder: Path, address: str) -> None:
    browse(folder, address, f"--screenshot={folder / 'lab.png'}")
    small = io.BytesIO()
    Image.open(folder / "lab.png").convert("RGB").quantize(
        256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    ).save(small, "PNG", optimize=True)
    (ROOT / "docs" / "images" / "lab.png").write_bytes(small.getvalue())
