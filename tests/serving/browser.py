"""Debian's Chromium, headless, whose camera plays a clip."""

import contextlib
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",  # as root
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)


def chromium() -> str:
    """Its path; skips the test where there is none."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip(f"no Chromium on this machine ({', '.join(CHROMIUM)}); `apt-get install chromium`")
    return path


@contextlib.contextmanager
def browser(camera: Path | None = None) -> Generator[Any]:
    """A browser of playwright's, whose camera shows the Motion JPEG file in a loop.

    Errors of pages fail the test that caused them.
    """
    path = chromium()
    from playwright.sync_api import sync_playwright

    flags = [*FLAGS, f"--use-file-for-fake-video-capture={camera}"] if camera else list(FLAGS)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, headless=True, args=flags)
        try:
            yield opened
        finally:
            opened.close()
