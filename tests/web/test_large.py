"""With 10,000 phones and 50,000 contacts every page stays small; `make bench` takes the times."""

from __future__ import annotations

import re
from pathlib import Path

from tests.web.house import House, run
from tests.web.large import LargeCore, furnish, large_bundle
from tests.web.tour import inner_pages

LIMIT = 200 << 10
"""Octets of a page on the wire, with every file it needs, for who was never here before."""
FULL = {
    "/directory": "/directory?search=an",
    "/configuration": "/configuration?since=1",
    "/groups": "/groups?group=7090&keys=1&at=2026-11-30T10:00",
}
"""Pages that show the most when asked so."""


async def size(house: House, path: str, cookie: str) -> tuple[int, str]:
    """Return how many octets an answer has on the wire, and its text."""
    headers = {"Cookie": cookie, "Accept-Encoding": "gzip"}
    async with house.session.get(house.url + path, headers=headers) as answer:
        assert answer.status == 200, path
        head = sum(len(name) + len(value) + 4 for name, value in answer.raw_headers)
        text = await answer.text()
        return head + answer.content.total_compressed_bytes, text


def test_every_page_of_the_largest_site_is_less_than_200_kib_with_all_it_needs(
    tmp_path: Path,
) -> None:
    bundle = large_bundle()
    core = LargeCore(bundle)

    async def script(house: House) -> None:
        await furnish(house, bundle)
        cookie = (await house.account("zoe", "admin")).cookie
        files: dict[str, int] = {}
        one = {
            "/records/{id}": f"/records/{core.waiting[0].id}",
            "/calls/{id}": f"/calls/{core.calls[0]['id']}",
        }
        for page in inner_pages():
            path = (FULL | one).get(page, page)
            octets, text = await size(house, path, cookie)
            needed = re.findall(r'(?:src|href)="(/static/[^"]+)"', text)
            for file in needed:
                files[file] = files.get(file) or (await size(house, file, cookie))[0]
            assert octets + sum(files[file] for file in needed) < LIMIT, (path, octets)

    run(tmp_path, script, core)
