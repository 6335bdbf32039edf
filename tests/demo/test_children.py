"""The demo's child processes end, whatever happens."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from appliance.cloud.sample import make_sample
from appliance.demo.children import Children


def test_a_child_writes_its_log_and_is_noticed_when_it_falls(tmp_path: Path) -> None:
    async def script() -> None:
        children = Children(tmp_path, {})
        child = await children.start("helper", "--version")
        await child.process.wait()
        assert children.fallen() == [child]
        assert child.last_words().startswith("holdfast ")
        await children.end()

    asyncio.run(script())


def test_settings_of_another_holdfast_are_not_handed_on(tmp_path: Path) -> None:
    os.environ["HOLDFAST_SIP_PORT"] = "1"
    try:
        children = Children(tmp_path, {"HOLDFAST_SETTINGS": "file"})
    finally:
        del os.environ["HOLDFAST_SIP_PORT"]
    names = {name for name in children._environment if name.startswith("HOLDFAST_")}
    assert names == {"HOLDFAST_SETTINGS"}


def test_children_end_with_a_killed_parent(tmp_path: Path) -> None:
    site = tmp_path / "site.json"
    site.write_bytes(_site())
    script = f"""
import asyncio, pathlib, sys
from appliance.cloud.sample import make_sample
from appliance.demo.children import Children
async def main():
    children = Children(pathlib.Path({str(tmp_path)!r}), {{}})
    child = await children.start("cloud", "cloud", "run", "--site", {str(site)!r}, "--data",
        {str(tmp_path / "cloud")!r}, "--http-port", "0", "--primary-port", "0",
        "--secondary-port", "0")
    print(child.process.pid, flush=True)
    await child.process.wait()
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if not _runs(child):
            return
        asyncio.run(asyncio.sleep(0.1))
    os.kill(child, signal.SIGKILL)
    raise AssertionError("the child outlived its parent")


def _site() -> bytes:
    return make_sample(users=1, contacts=0).bundle_json()


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
