"""Kamailio as the SBC of a carrier: between the appliance and one phone outside."""

from __future__ import annotations

import base64
import os
import signal
from pathlib import Path

from tests.system.network import APPLIANCE, Host
from tests.system.waiting import until

CONFIGURATION = """#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=1
tcp_children=1
disable_core_dump=yes
auto_aliases=no
listen=udp:{address}:5060
{tls}
loadmodule "kex.so"
loadmodule "pv.so"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
modparam("xlog", "buf_size", 65536)

reply_route {{
    xlog("L_INFO", "{heard}$si $(mb{{s.encode.base64}})\n");
}}

request_route {{
    xlog("L_INFO", "{heard}$si $(mb{{s.encode.base64}})\n");
    if (is_method("OPTIONS") && !has_totag()) {{ sl_send_reply("200", "OK"); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
        sl_send_reply("404", "Not here");
        exit;
    }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    record_route();
    if (src_ip == {appliance}) {{
        $ru = "sip:" + $rU + "@{phone}:5060";
    }} else {{
        $ru = "sip:" + $rU + "@{appliance}:{way}";
    }}
    t_relay();
}}
"""
HEARD = "heard:"
"""Goes in the log before the sender of each message that came, and its octets in base64."""
TLS = """enable_tls=yes
listen=tls:{address}:5061
loadmodule "tls.so"
modparam("tls", "config", "{profile}")
"""
PROFILE = """[server:default]
method = {method}
cipher_list = {ciphers}
verify_certificate = yes
require_certificate = yes
private_key = {key}
certificate = {certificate}
ca_list = {authority}

[client:default]
method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
private_key = {key}
certificate = {certificate}
ca_list = {authority}
"""


class KamailioSbc:
    """One SBC on one host; `files` are its certificate and key, none: it speaks UDP."""

    def __init__(
        self,
        host: Host,
        folder: Path,
        phone: Host,
        files: tuple[Path, Path] | None = None,
        authority: Path | None = None,
        method: str = "TLSv1.2+",
    ) -> None:
        """`method` is the version of TLS that it takes, `TLSv1` for one that nobody should."""
        self.host = host
        self.folder = folder / f"sbc-{host.address}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "log"
        tls, way = "", "5060"
        if files is not None:
            certificate, key = files
            profile = self.folder / "tls.cfg"
            profile.write_text(
                PROFILE.format(
                    certificate=certificate,
                    key=key,
                    authority=authority,
                    method=method,
                    ciphers="DEFAULT" if "+" in method else "DEFAULT@SECLEVEL=0",
                )
            )
            tls, way = TLS.format(address=host.address, profile=profile), "5061;transport=tls"
        text = CONFIGURATION.format(
            address=host.address,
            appliance=APPLIANCE,
            phone=phone.address,
            way=way,
            tls=tls,
            heard=HEARD,
        )
        self._file = self.folder / "kamailio.cfg"
        self._file.write_text(text)
        self.start()

    def start(self) -> None:
        """Begin, and wait until it listens."""
        places = ["-f", str(self._file), "-Y", str(self.folder), "-P", str(self.folder / "pid")]
        words = ["/usr/sbin/kamailio", "-DD", "-E", "-m", "64", "-M", "16", *places]
        self.process = self.host.start(*words, log=self.log)
        until(lambda: ":5060" in self.host.run("ss", "-lun"), 10, "the SBC listens", self.trace)

    def stop(self) -> None:
        """End it: connections to it are refused from now on."""
        self.process.terminate()
        self.process.wait(10)

    def die(self) -> None:
        """End all its processes at once, without a word."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def heard(self) -> list[bytes]:
        """Give every message that came from the appliance, decrypted, to the last octet."""
        lines = self.log.read_text(errors="replace").splitlines()
        pairs = (line.partition(HEARD)[2].split() for line in lines)
        return [base64.b64decode(pair[1]) for pair in pairs if pair and pair[0] == APPLIANCE]

    def trace(self) -> str:
        """Give the end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if HEARD not in line)[-4000:]
