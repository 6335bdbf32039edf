"""The admin process as the commands find it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from pathlib import Path

import pytest

from appliance.adapters.ipc import IpcServer
from appliance.cli.admin import serve
from appliance.cli.command import main
from appliance.cli.door import Door
from appliance.errors import Unavailable
from appliance.settings import Settings
from tests.cloud.reference_trial import free_port
from tests.fake_core import FakeCore


class Appliance:
    """An admin process with a core of ours, in a thread of its own; `run` is one command line."""

    by_itself = ("emergency.alerts", "evidence", "mode", "zones")
    """What it asks core now and then without being told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.core = FakeCore()
        self.settings = Settings(data=folder, run=folder, admin_port=free_port())
        self.file = folder / "holdfast.toml"
        self.file.write_text(
            f'data = "{folder}"\nrun = "{folder}"\nadmin_port = {self.settings.admin_port}\n'
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self._wait()

    def run(self, *words: str) -> int:
        """Carry out a command line and return its exit status, also where its words are wrong."""
        try:
            return main(["--settings", str(self.file), *words])
        except SystemExit as ended:
            return int(ended.code or 0)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()

    def _serve(self) -> None:
        async def whole() -> None:
            server = IpcServer(
                self.settings.core_socket,
                lambda name, arguments, _: self.core.call(name, **arguments),
            )
            await server.start()
            try:
                await serve(self.settings)
            finally:
                await server.stop()

        self._task = self._loop.create_task(whole())
        with closing(self._loop):
            try:
                self._loop.run_until_complete(self._task)
            except asyncio.CancelledError:
                return

    def _wait(self) -> None:
        for _ in range(200):
            try:
                Door(self.settings).get("mode")
                return
            except Unavailable:
                threading.Event().wait(0.02)
        pytest.fail("the admin process does not start")
