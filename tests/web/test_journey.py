"""An admin's first day with a real appliance, cloud and phones, in Debian's Chromium."""

from __future__ import annotations

import base64
import re
import shutil
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.chromium import NEEDED, browser
from tests.web.house import PASSWORD
from tests.web.real_site import RealSite, site
from tests.web.test_browser import AXE, Watch
from tests.web.tour import inner_pages

__all__ = ["browser"]

pytestmark = NEEDED


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSite]:
    made = RealSite(tmp_path_factory.mktemp("site"))
    try:
        _wait_for(made.url)
        yield made
    finally:
        made.close()


def _wait_for(url: str) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for _ in range(200):
        try:
            urllib.request.urlopen(f"{url}/login", context=context, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the admin process does not answer")


def test_the_first_day_of_an_admin(real: RealSite, browser: Browser) -> None:
    context = browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(15_000)
    expect.set_options(timeout=15_000)
    page = context.new_page()
    watch = Watch(page, real.url)
    _first_log_in(page, real)
    _an_outage(page, real)
    _a_test(page, real)
    _a_held_bundle(page, real)
    _a_group(page)
    _somebody_who_only_looks(page, real, browser)
    for path in _addresses(page, real):
        answer = page.goto(real.url + path)
        assert answer is not None
        assert answer.status == 200, path
    assert not watch.wrong
    context.close()


def test_what_is_wrong_is_looked_into(real: RealSite, browser: Browser, tmp_path: Path) -> None:
    """Checks are run one by one; a call over SRTP is seen message by message and taken home."""
    context = browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(15_000)
    page = context.new_page()
    watch = Watch(page, real.url)
    _log_in(page, real, "admin")
    expect(page.locator("#mode")).not_to_be_empty()
    _checks(page)
    real.zones("down")
    expect(page.locator("#mode")).to_have_text("Survivability", timeout=20_000)
    real.switch_on("1003", "1004", srtp=True)
    call = real.do(real.talk("1003", "1004"))
    keys = [base64.b64encode(key) for key in (call._key, call.remote.key)]
    file = _messages(page, tmp_path, lambda: real.do(call.hang_up()))
    real.zones("up")
    octets = file.read_bytes()
    assert octets.count(b"inline:xxxxxxxx") >= 4
    assert not [key for key in keys if key in octets]
    said = _said_in(file)
    assert said[0] == "INVITE"
    assert said.count("INVITE") >= 2
    assert said[-4:] in (["BYE", "200", "BYE", "200"], ["BYE", "BYE", "200", "200"])
    page.goto(f"{real.url}/system/audit")
    expect(page.get_by_text("call.pcap").first).to_be_visible()
    assert not watch.wrong
    context.close()


def _checks(page: Page) -> None:
    """Run checks of the appliance itself and of its cloud: verdicts come without a reload."""
    page.get_by_role("link", name="Diagnostics", exact=True).click()
    for title, words in (
        ("Zones of the cloud", "zone primary"),
        ("Certificates", "certificate"),
        ("Configuration", "6 users"),
    ):
        page.get_by_role("button", name=f"Run {title}").click()
        page.evaluate("window.sameDocument = true")
        card = page.locator("section.check", has=page.get_by_role("heading", name=title))
        expect(card.locator(".state", has_text=re.compile("well|see to"))).to_be_visible()
        card.locator("summary").click()
        expect(card.locator(".proof")).to_contain_text(words)
        assert page.evaluate("window.sameDocument") is True
    with page.expect_download() as taken:
        page.get_by_role("link", name="Download the report").click()
    assert "Configuration" in Path(taken.value.path()).read_text()


def _messages(page: Page, folder: Path, hang_up: Callable[[], object]) -> Path:
    """Look at the call while it lasts and when it is over; return its capture."""
    page.get_by_role("link", name="Calls", exact=True).click()
    page.locator("td[data-label=Path] summary").click()
    page.get_by_role("link", name="Messages of 1003").click()
    ladder = page.locator("svg.ladder")
    expect(ladder.get_by_text("INVITE with SDP").first).to_be_visible()
    expect(ladder.locator(".who")).to_have_text(["1003", "Holdfast", "1004"])
    hang_up()
    expect(page).to_have_url(re.compile("/records/"))  # by itself: the call is over
    expect(ladder.get_by_text("BYE", exact=True).first).to_be_visible()
    page.get_by_text("messages in full").click()
    page.locator("#message-1 summary").click()
    expect(page.locator("#message-1 pre")).to_contain_text("inline:xxxxxxxx")
    with page.expect_download() as taken:
        page.get_by_role("link", name="Download as pcap").click()
    assert taken.value.suggested_filename.endswith(".pcapng")
    file = folder / "call.pcapng"
    taken.value.save_as(file)
    return file


def _said_in(file: Path) -> list[str]:
    """Return what tshark reads in a capture."""
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("needs tshark")
    words = [program, "-r", str(file), "-T", "fields", "-e", "sip.Method", "-e", "sip.Status-Code"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    return [line.strip() for line in done.stdout.splitlines()]


def test_every_page_of_the_real_appliance_can_be_read_by_all(
    real: RealSite, browser: Browser
) -> None:
    context = browser.new_context(ignore_https_errors=True, bypass_csp=True)
    page = context.new_page()
    _log_in(page, real, "admin")
    for path in _addresses(page, real):
        page.goto(real.url + path)
        page.add_script_tag(path=str(AXE))
        found = page.evaluate(
            "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})"
            ".then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html).join(' | ')))"
        )
        assert found == [], path
    context.close()


def _addresses(page: Page, real: RealSite) -> list[str]:
    """Return where every page is, with something on it where it needs to be asked."""
    page.goto(f"{real.url}/records")
    record = page.locator("tbody a").first.get_attribute("href") or ""
    call = record.replace("/records/", "/calls/")
    one = {"/records/{id}": record, "/calls/{id}": call}
    asked = {**one, "/directory": "/directory?search=user"}
    return [asked.get(path, path) for path in inner_pages()]


def _log_in(page: Page, real: RealSite, name: str, password: str = PASSWORD) -> None:
    page.goto(f"{real.url}/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def _choose(page: Page, old: str) -> None:
    page.get_by_label("Present password").fill(old)
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The new one again").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()


def _first_log_in(page: Page, real: RealSite) -> None:
    first = real.first_password()
    _log_in(page, real, "admin", first)
    _choose(page, first)
    expect(page.get_by_role("heading", name="Ready")).to_be_visible()
    expect(page.locator("#mode")).to_have_text("Standby")


def _an_outage(page: Page, real: RealSite) -> None:
    """The zones are cut: the dashboard says so without a reload, phones come, a call is made."""
    page.evaluate("window.sameDocument = true")
    real.zones("down")
    expect(page.locator("#mode")).to_have_text("Survivability")
    expect(page.get_by_role("heading", name="Serving the site")).to_be_visible()
    real.switch_on("1001", "1002")
    expect(page.get_by_text("2 of 0 phones are here")).to_be_visible()
    call = real.do(real.talk("1001", "1002"))
    assert page.evaluate("window.sameDocument") is True
    page.get_by_role("link", name="Calls", exact=True).click()
    expect(page.locator("td .state.up", has_text="answered")).to_be_visible()
    real.do(call.hang_up())
    expect(page.get_by_text("No call is up")).to_be_visible()
    page.get_by_role("link", name="Records", exact=True).click()
    page.locator("tbody a").first.click()
    expect(page.get_by_text("answered by 1002").first).to_be_visible()
    page.goto(real.url)
    real.zones("up")
    expect(page.locator("#mode")).to_have_text("Standby", timeout=30_000)


def _a_test(page: Page, real: RealSite) -> None:
    page.goto(f"{real.url}/survivability")
    page.get_by_label("Extensions, phone ids").fill("1001")
    page.get_by_label("Minutes").fill("10")
    page.get_by_role("button", name="Begin the test").click()
    expect(page.get_by_text("The test has begun.")).to_be_visible()
    expect(page.locator("#mode")).to_have_text("Testing")
    page.get_by_role("button", name="End the test now").click()
    expect(page.locator("#mode")).to_have_text("Standby")


def _a_held_bundle(page: Page, real: RealSite) -> None:
    """A bundle that would remove most users is pushed: it is held, looked at, and released."""
    page.goto(f"{real.url}/configuration")
    real.publish(site(2, users=2))
    expect(page.get_by_role("heading", name="Held: version 2")).to_be_visible()
    expect(page.get_by_text("4 of 6 would be removed")).to_be_visible()
    page.get_by_role("button", name="Apply version 2").click()
    expect(page.get_by_text("Version 2 is in force now.")).to_be_visible()
    page.get_by_role("button", name="Put 1 in force").click()
    expect(page.get_by_text("Version 1 is in force again")).to_be_visible()
    real.publish(site(3))
    expect(page.get_by_text("Rolled back")).to_have_count(0)


def _a_group(page: Page) -> None:
    page.get_by_role("link", name="Groups", exact=True).click()
    page.locator("select[name=group]").select_option("3000")
    page.get_by_label("Who answers").fill("1002")
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_text("answered by 1002")).to_be_visible()


def _somebody_who_only_looks(page: Page, real: RealSite, browser: Browser) -> None:
    page.goto(f"{real.url}/system/access")
    form = page.locator("form[action='/system/accounts']")
    form.get_by_label("Name").fill("ann")
    form.get_by_label("Role").select_option("auditor")
    form.get_by_role("button").click()
    secret = page.locator("#secret").inner_text()
    context = browser.new_context(ignore_https_errors=True)
    other = context.new_page()
    _log_in(other, real, "ann", secret)
    _choose(other, secret)
    other.goto(f"{real.url}/configuration")
    expect(other.get_by_role("heading", name="Configuration", exact=True)).to_be_visible()
    expect(other.get_by_role("button", name="Put 1 in force")).to_have_count(0)
    other.goto(f"{real.url}/system/access")
    expect(other.get_by_role("heading", name="Not allowed")).to_be_visible()
    context.close()


def test_the_folder_holds_no_secret_that_others_may_read(real: RealSite) -> None:
    data: Path = real.folder / "data"
    for file in (*data.glob("bundles/*"), *data.glob("bundle.json"), *data.glob("admin*")):
        if file.is_file():
            assert file.stat().st_mode & 0o007 == 0, file
