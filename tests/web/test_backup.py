"""The backup that a browser saves."""

from __future__ import annotations

import io
from pathlib import Path

from appliance.backup.archive import read_backup
from tests.cloud.test_sync import bundle
from tests.web.house import House, run

PHRASE = "three blind mice"


def test_an_admin_saves_a_backup_from_the_page(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        await house.sync.offer(bundle(1))
        admin = await house.account("zoe", "admin")
        fields = {"csrf": admin.csrf, "passphrase": PHRASE, "again": PHRASE}
        headers = {"Cookie": admin.cookie}
        there = f"{house.url}/system/backup"
        async with house.session.post(there, data=fields, headers=headers) as answer:
            assert answer.status == 200
            assert "holdfast-" in answer.headers["Content-Disposition"]
            data = await answer.read()
        names = read_backup(io.BytesIO(data), tmp_path / "new", PHRASE, "aside")
        assert {"admin.db", "bundle.json", "admin/sip.key"} <= set(names)
        for wrong in ({"again": "another one altogether"}, {"passphrase": "x", "again": "x"}):
            async with house.session.post(there, data=fields | wrong, headers=headers) as answer:
                assert answer.status == 409
        assert [one.action for one in await house.store.audit(1)] == ["backup"]
        assert PHRASE not in str(await house.store.audit(10))
        auditor = await house.account("ann", "auditor")
        assert "Save a backup" not in (await auditor.ask("GET", "/system"))[1]

    run(tmp_path, script)
