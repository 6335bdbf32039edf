"""The settings file of the directory server, slapd (slapd.conf(5), slapd-mdb(5))."""

from __future__ import annotations

from pathlib import Path

from appliance.bundle import Bundle
from appliance.phonebook.ldif import base_of

SIZE_LIMIT = 50
"""Entries in an answer where the phone sets no limit of its own."""
LARGEST_LIMIT = 500
"""What a phone may ask for at most."""
TIME_LIMIT = 5
"""Seconds one search may take."""
MAP_SIZE = 2 << 30
"""Octets the database may grow to; 60,000 entries take 210 MB."""

_WHOLE = """\
include {schemas}/core.schema
include {schemas}/cosine.schema
include {schemas}/inetorgperson.schema
attributetype ( 1.2.840.113556.1.4.721 NAME 'ipPhone' EQUALITY caseIgnoreMatch
  SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 2.25.227512409843117830915487281964035512 NAME 'holdfastEntry'
  SUP top AUXILIARY MAY ipPhone )
modulepath {modules}
moduleload back_mdb
moduleload sssvlv
pidfile {folder}/slapd.pid
loglevel none
threads 4
sizelimit size.soft={soft} size.hard={hard}
timelimit {seconds}
index_substr_if_minlen 1
index_substr_any_len 2
index_substr_any_step 1
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
overlay sssvlv
sssvlv-max 64
database mdb
suffix "{base}"
directory "{folder}/database"
maxsize {size}
dbnosync
{readonly}
index objectClass eq
index cn,sn,givenName,displayName eq,sub
index telephoneNumber,mobile,homePhone,ipPhone eq,sub
index uid eq
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=accounts,{base}" by anonymous auth by * none
access to * by dn.children="ou=accounts,{base}" read by anonymous {anonymous} by * none
"""


def slapd_settings(
    bundle: Bundle, folder: Path, certificate: Path, key: Path, modules: Path, readonly: bool
) -> str:
    """Return the settings of a server whose database is in `folder`.

    Only the door to it is told `readonly`; whoever fills the database is not. The certificate makes
    slapd say that it knows StartTLS, which the door speaks in its place.
    """
    return _WHOLE.format(
        schemas="/etc/ldap/schema",
        modules=modules,
        folder=folder,
        soft=SIZE_LIMIT,
        hard=LARGEST_LIMIT,
        seconds=TIME_LIMIT,
        size=MAP_SIZE,
        certificate=certificate,
        key=key,
        base=base_of(bundle),
        readonly="readonly on" if readonly else "",
        anonymous="read" if bundle.ldap.anonymous else "auth",
    )
