"""Desk phones search the directory over LDAP: slapd behind our door (C3)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.adapters.tls import ensure_certificate
from appliance.bundle import Bundle, Contact, Ldap, LdapAccount, User
from appliance.cloud.sample import make_sample
from appliance.files import write_durably
from tests.cloud.reference_trial import free_port
from tests.system.ldap import Phone
from tests.system.network import APPLIANCE
from tests.system.site import site_in_outage
from tests.system.waiting import until

CONTACTS = 50_000
BASE = "dc=site,dc=example"
PHONES = f"cn=phones,ou=accounts,{BASE}"
PASSWORD = "what phones know"
ANA = User(
    id="ana",
    name="Ána Silva-Müller",
    extension="4711",
    numbers=("+13125550101",),
    mobile="+1 312 555 7788",
    home="+1 312 555 9999",
    mail="ana@site.example",
    department="Radiology",
    title="Head nurse",
)


def bundle(version: int, contacts: int, **ldap: Any) -> Bundle:
    made = make_sample(20, contacts, site="hq", domain="site.example").bundle
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, capture_output=True, text=True
    )
    account = LdapAccount(name="phones", sha512=hashed.stdout.strip())
    policy = Ldap(**({"anonymous": True, "accounts": (account,)} | ldap))
    more = {"version": version, "users": (*made.users, ANA), "ldap": policy}
    return msgspec.structs.replace(made, **more)


class Ldap390:
    """`holdfast ldap` with its folder."""

    def __init__(self, folder: Path, content: Bundle) -> None:
        self.folder = folder
        self.port = free_port()
        (folder / "run").mkdir()
        self.certificate, _ = ensure_certificate(folder / "tls", ["localhost", "127.0.0.1"])
        settings = folder / "holdfast.toml"
        settings.write_text(
            f'data = "{folder}"\nrun = "{folder / "run"}"\naddresses = ["127.0.0.1"]\n'
            f"ldap_port = {self.port}\n"
        )
        self.log = folder / "log"
        self.apply(content)
        command = [sys.executable, "-m", "appliance.cli.command", "--settings", str(settings)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([*command, "ldap"], stdout=log, stderr=log)
        until(self.answers, 90, "the directory is served", self.log.read_text)

    def close(self) -> None:
        self.process.terminate()
        assert self.process.wait(20) == 0

    def apply(self, content: Bundle) -> None:
        write_durably(self.folder / "bundle.json", msgspec.json.encode(content))

    def answers(self) -> bool:
        try:
            with Phone(self.port) as phone:
                return phone.search(BASE, "silva") != (52, 0)
        except OSError:
            return False

    def ask(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of ldap-utils."""
        server = ["-x", "-H", f"ldap://127.0.0.1:{self.port}", "-o", "nettimeout=5"]
        trust = {**os.environ, "LDAPTLS_CACERT": str(self.certificate), "LDAPCONF": "/dev/null"}
        done = [command, *server, *words]
        return subprocess.run(done, capture_output=True, text=True, timeout=20, env=trust)

    def found(self, question: str, *words: str) -> list[str]:
        """Give the display names in the order of the answer."""
        asked = ["-LLL", "-o", "ldif-wrap=no", "-b", BASE, *words, question, "displayName"]
        lines = self.ask("ldapsearch", *asked).stdout.splitlines()
        return [value(line) for line in lines if line.startswith("displayName:")]


def value(line: str) -> str:
    _, _, rest = line.partition(":")
    return b64decode(rest[1:]).decode() if rest.startswith(":") else rest.strip()


@pytest.fixture(scope="module")
def ldap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ldap390]:
    with closing(Ldap390(tmp_path_factory.mktemp("ldap"), bundle(1, CONTACTS))) as made:
        yield made


def test_an_entry_has_what_phones_show(ldap: Ldap390) -> None:
    shown = ldap.ask("ldapsearch", "-LLL", "-b", BASE, "(ipPhone=4711)").stdout
    pairs = {line.partition(":")[0]: value(line) for line in shown.splitlines() if line}
    assert pairs["displayName"] == "Ána Silva-Müller"
    assert pairs["telephoneNumber"] == "+13125550101"
    assert (pairs["mobile"], pairs["homePhone"]) == ("+13125557788", "+13125559999")
    assert (pairs["mail"], pairs["ou"]) == ("ana@site.example", "Radiology")
    assert (pairs["title"], pairs["o"], pairs["ipPhone"]) == ("Head nurse", "Hq", "4711")
    assert {"cn", "sn", "givenName"} <= pairs.keys()


@pytest.mark.parametrize(
    "question",
    [
        "(|(cn=*silva-m*)(sn=*silva-m*))",
        "(|(cn=*Ána Silva-*)(sn=*Ána Silva-*))",
        "(|(cn=*ana silva-*)(sn=*ana silva-*))",
        "(|(telephoneNumber=4711)(mobile=4711)(ipPhone=4711))",
        "(|(telephoneNumber=*5550101)(mobile=*5550101)(ipPhone=*5550101))",
        "(|(telephoneNumber=+1 312 555 7788)(mobile=+1 312 555 7788))",
        "(&(displayName=*)(homePhone=*9999*)(mail=ana*)(title=head nurse)(ou=RADIOLOGY))",
    ],
)
def test_the_filters_of_phones(ldap: Ldap390, question: str) -> None:
    assert "Ána Silva-Müller" in ldap.found(question)


@pytest.mark.parametrize("text", ["ana", "an", "a", "müll", "zq", "o'b", "vandenberg"])
def test_any_part_of_a_name_is_found(ldap: Ldap390, text: str) -> None:
    with Phone(ldap.port) as phone:
        code, entries = phone.search(BASE, text)
        assert (code, entries) == (4, 50) or code == 0


@pytest.mark.parametrize("rule", ["", ":2.5.13.3"])
def test_the_server_sorts_with_and_without_a_rule(ldap: Ldap390, rule: str) -> None:
    names = ldap.found("(|(cn=*lar*)(sn=*lar*))", "-E", f"!sss=sn{rule}/-cn{rule}", "-z", "40")
    assert len(names) == 40
    first = ldap.found("(|(cn=*lar*)(sn=*lar*))", "-E", f"!sss=-displayName{rule}")[0]
    assert first > "W"


def test_an_answer_has_fifty_entries_and_more_when_asked(ldap: Ldap390) -> None:
    assert len(ldap.found("(cn=*e*)", "-z", "0")) == 50
    assert len(ldap.found("(cn=*e*)", "-z", "120")) == 120
    done = ldap.ask("ldapsearch", "-LLL", "-b", BASE, "-z", "1000", "(cn=*e*)", "cn")
    assert done.returncode == 11 or done.stdout.count("dn:") <= 500


def test_the_root_says_what_there_is(ldap: Ldap390) -> None:
    shown = ldap.ask("ldapsearch", "-LLL", "-s", "base", "-b", "", "+").stdout
    assert f"namingContexts: {BASE}" in shown
    for name in ("1.2.840.113556.1.4.473", "1.3.6.1.4.1.1466.20037"):
        assert name in shown, name
    assert "supportedLDAPVersion: 3" in shown


def test_start_tls_shows_the_appliance(ldap: Ldap390) -> None:
    assert ldap.found("(ipPhone=4711)", "-ZZ") == ["Ána Silva-Müller"]
    with Phone(ldap.port) as phone:
        start = b"\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
        phone.send(b"\x30\x1d\x02\x01\x01" + start + b"\x30\x05\x02\x01\x02\x42\x00")
        assert phone.message()[1][2] == 2, "what is sent in clear after StartTLS ends it"


def test_a_password_is_asked_for_and_nobody_sees_it(ldap: Ldap390) -> None:
    who = ("-D", PHONES, "-w", PASSWORD)
    assert ldap.found("(ipPhone=4711)", *who) == ["Ána Silva-Müller"]
    assert ldap.ask("ldapsearch", "-D", PHONES, "-w", "wrong", "-b", BASE).returncode == 49
    for words in ((), who):
        shown = ldap.ask("ldapsearch", "-LLL", "-b", BASE, *words, "(cn=phones)").stdout
        assert "userPassword" not in shown and "phones" not in shown


def test_nothing_can_be_written(ldap: Ldap390) -> None:
    record = f"dn: uid=1,ou=people,{BASE}\nchangetype: modify\nreplace: cn\ncn: x\n"
    file = ldap.folder / "change.ldif"
    file.write_text(record)
    for words in ((), ("-D", PHONES, "-w", PASSWORD)):
        assert ldap.ask("ldapmodify", *words, "-f", str(file)).returncode == 53
        assert ldap.ask("ldapdelete", *words, f"uid=1,ou=people,{BASE}").returncode == 53


def test_only_names_and_passwords_open_it(ldap: Ldap390) -> None:
    with Phone(ldap.port) as phone:
        external = b"\xa3\x0a\x04\x08EXTERNAL"
        assert phone.ask(b"\x60\x11\x02\x01\x03\x04\x00" + external)[0] == 7
        assert phone.bind(f"cn=nobody,ou=accounts,{BASE}", "x") == 49
        assert phone.bind(PHONES, PASSWORD) == 0


def test_whoever_guesses_passwords_is_slowed_and_banned(ldap: Ldap390) -> None:
    stranger = f"cn=stranger,ou=accounts,{BASE}"
    with Phone(ldap.port) as phone:
        codes = [phone.bind(stranger, f"guess {number}") for number in range(12)]
        assert codes[:5] == [49] * 5
        assert codes[-1] == 51, "busy: not looked at any more"
        assert phone.bind(PHONES, PASSWORD) == 0, "others in the same place lose nothing"
    assert "wrong passwords" in ldap.log.read_text()
    assert PASSWORD not in ldap.log.read_text()


def test_octets_that_are_no_ldap_end_the_connection(ldap: Ldap390) -> None:
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05", b"\x30\x84\x7f\xff\xff\xff"):
        with Phone(ldap.port) as phone:
            phone.send(data)
            tag, content = phone.message()
            assert (tag, content[2]) == (0x78, 2)
            with pytest.raises(ConnectionError):
                phone.message()


NAMES = ["silva-m", "mull", "4711", "vandenberg", "o'bri", "tremb", "yamad", "kowal"]
SECONDS = 6
"""How long a hundred searches a second are asked."""


def asked_by_ldapsearch(ldap: Ldap390, secure: bool) -> tuple[int, str]:
    """Let one ldapsearch ask 25 things on one connection; give its answers, and its complaints."""
    file = ldap.folder / "asked"
    words = ["-c", "-b", BASE, *(["-ZZ"] if secure else []), "-f", str(file)]
    done = ldap.ask("ldapsearch", *words, "%s", "cn")
    found = re.findall(r"^result: (?:0 Success|4 Size limit exceeded)$", done.stdout, re.MULTILINE)
    return len(found), done.stderr


def test_ldapsearch_asks_a_hundred_times_a_second_while_the_directory_changes(
    ldap: Ldap390,
) -> None:
    texts = [NAMES[number % len(NAMES)] for number in range(25)]
    filters = [f"(|(cn=*{text}*)(sn=*{text}*)(ipPhone={text}))\n" for text in texts]
    (ldap.folder / "asked").write_text("".join(filters))
    assert ldap.found("(sn=newest)") == []
    made, zoe = bundle(2, 2_000), Contact(name="Zoe Newest", numbers=("334",))
    begun = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        runs = []
        for second in range(SECONDS):
            time.sleep(max(0.0, begun + second - time.monotonic()))
            ways = (False, True, False, True)
            runs += [pool.submit(asked_by_ldapsearch, ldap, secure) for secure in ways]
            if second == 1:
                ldap.apply(msgspec.structs.replace(made, contacts=(*made.contacts, zoe)))
        until(lambda: ldap.found("(sn=newest)"), 30, "the new directory", ldap.log.read_text)
        runs += [pool.submit(asked_by_ldapsearch, ldap, secure) for secure in (False, True)]
    assert [run.result() for run in runs] == [(25, "")] * (4 * SECONDS + 2), ldap.log.read_text()


class Asker(threading.Thread):
    """Asks again and again, each time on a new connection, as phones do."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.done = threading.Event()
        self.answers = 0
        self.failures: list[str] = []

    def run(self) -> None:
        while not self.done.wait(0.02):
            try:
                with Phone(self.port) as phone:
                    code, _ = phone.search(BASE, "silva-m")
                if code:
                    self.failures.append(f"code {code}")
                self.answers += 1
            except OSError as error:
                self.failures.append(str(error))


def test_a_new_bundle_comes_without_a_refused_search(ldap: Ldap390) -> None:
    asker = Asker(ldap.port)
    asker.start()
    try:
        with Phone(ldap.port) as early:
            assert early.search(BASE, "newcomer") == (0, 0)
            made = bundle(3, 50)
            eve = Contact(name="Eve Newcomer", numbers=("333",))
            ldap.apply(msgspec.structs.replace(made, contacts=(*made.contacts, eve)))
            until(lambda: ldap.found("(sn=newcomer)"), 30, "the new one", ldap.log.read_text)
            assert early.search(BASE, "silva-m") == (0, 1), "who is connected can finish"
        until(lambda: asker.answers > 20, 30, "answers before and after", ldap.log.read_text)
    finally:
        asker.done.set()
        asker.join()
    assert asker.failures == []
    kept = [path.name for path in (ldap.folder / "ldap").iterdir() if path.is_dir()]
    assert len(kept) == 1, "the old database is gone"


def test_slapd_killed_is_back(ldap: Ldap390) -> None:
    def pids() -> list[int]:
        texts = [path.read_text() for path in (ldap.folder / "ldap").glob("*/slapd.pid")]
        return [int(text) for text in texts if text.strip()]

    before = pids()
    os.kill(before[0], 9)
    until(lambda: pids() not in ([], before), 10, "another slapd", ldap.log.read_text)
    until(lambda: ldap.found("(ipPhone=4711)"), 10, "slapd again", ldap.log.read_text)


def test_a_broken_bundle_leaves_the_last_directory(ldap: Ldap390) -> None:
    (ldap.folder / "bundle.json").write_text("{")
    until(lambda: "ends too early" in ldap.log.read_text(), 10, "it is said", ldap.log.read_text)
    assert ldap.found("(ipPhone=4711)") == ["Ána Silva-Müller"]


def test_a_phone_on_the_site_searches_when_the_cloud_is_gone(tmp_path: Path) -> None:
    parts = {
        "ldap": {"anonymous": True, "require_tls": True},
        "contacts": [{"name": "Zoë Tremblay", "numbers": ["+1 514 555 0100"]}],
    }
    with site_in_outage(tmp_path, 1, parts=parts) as site:
        url = ["-x", "-H", f"ldap://{APPLIANCE}:390", "-b", BASE, "-LLL", "-o", "nettimeout=5"]
        insecure = ["env", "LDAPTLS_REQCERT=never", "ldapsearch", *url]

        def ask(*words: str) -> str:
            return site.phone(0).run(*insecure, *words, "(cn=*zoe*)", "telephoneNumber")

        until(lambda: "+15145550100" in quiet(lambda: ask("-ZZ")), 20, "found", site.evidence)
        assert "StartTLS first" in quiet(ask)
        site.kill("ldap")
        until(lambda: "+15145550100" in quiet(lambda: ask("-ZZ")), 20, "again", site.evidence)


def quiet(ask: Callable[[], str]) -> str:
    """Give what a program printed, whatever its exit status."""
    try:
        return ask()
    except RuntimeError as error:
        return str(error)
