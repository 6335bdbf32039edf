"""Debian's Chromium on the dashboard, and what it asks the server for."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from urllib.parse import urlsplit

from playwright.sync_api import Page, Request, sync_playwright

from benchmarks.process import CLIENT_CORE
from benchmarks.viewers import LIVE_PART, URL
from benchmarks.visitor import PASSWORD


class Browser:
    """A browser that looks on for as long as the context lasts."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        """How often each path was asked for; the live part by its own name."""
        self._play = sync_playwright()
        self._page: Page

    def __enter__(self) -> Browser:
        """Log in and open the dashboard."""
        found = shutil.which("chromium")
        if found is None:
            raise RuntimeError("needs Debian's chromium")
        os.sched_setaffinity(0, {CLIENT_CORE})  # and so is all that it starts
        started = self._play.start().chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        self._page = started.new_context(ignore_https_errors=True).new_page()
        self._page.on("request", self._note)
        self._page.goto(f"{URL}/login")
        self._page.get_by_label("Name").fill("admin")
        self._page.get_by_label("Password").fill(PASSWORD)
        self._page.get_by_role("button", name="Log in").click()
        self.catch_up(2.0)
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        browser = self._page.context.browser
        if browser is not None:
            browser.close()
        self._play.__exit__(None, None, None)

    def forget(self) -> None:
        """Count from here on."""
        self.catch_up(0.1)
        self.asked.clear()

    def catch_up(self, seconds: float) -> None:
        """Hear of what was asked meanwhile."""
        self._page.wait_for_timeout(seconds * 1000)

    def _note(self, request: Request) -> None:
        path = urlsplit(request.url).path
        path = "/static" if path.startswith("/static") else path
        self.asked[LIVE_PART if "hx-request" in request.headers else path] += 1
