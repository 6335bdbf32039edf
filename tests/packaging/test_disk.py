"""The disk's layout, the machine's description and the list of what is inside."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import pairwise

from image.disk import MIB, PARTITIONS, SIZE, starts, table
from image.formats import ovf
from image.sbom import debian, python

ENVELOPE = "{http://schemas.dmtf.org/ovf/envelope/1}"


def test_two_slots_of_one_size_and_the_data_last_so_that_it_can_grow() -> None:
    sizes = {partition.name: partition.size for partition in PARTITIONS}
    assert sizes["root-a"] == sizes["root-b"]
    assert PARTITIONS[-1].name == "data"
    places = list(starts())
    for (before, at), (_, following) in pairwise(places):
        assert at + before.size == following
    assert places[-1][1] + sizes["data"] == SIZE - 1, "the last MiB is for the second table"


def test_the_table_is_the_same_each_time_and_names_every_partition() -> None:
    assert table() == table()
    for partition in PARTITIONS:
        assert f'name="{partition.name}"' in table()
    assert f"start={MIB // 512}," in table()


def test_the_machines_description_is_xml_whose_references_hold() -> None:
    envelope = ElementTree.fromstring(ovf(4711))
    file = envelope.find(f"{ENVELOPE}References/{ENVELOPE}File")
    disk = envelope.find(f"{ENVELOPE}DiskSection/{ENVELOPE}Disk")
    assert file is not None and disk is not None
    assert file.get(f"{ENVELOPE}size") == "4711"
    assert disk.get(f"{ENVELOPE}fileRef") == file.get(f"{ENVELOPE}id")
    assert "@" not in ovf(4711)


def test_the_list_has_what_is_installed_and_the_hashes_of_python_packages() -> None:
    status = (
        "Package: nftables\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.1-2\n"
        "Description: a\n b\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n"
    )
    (part,) = debian(status)
    assert part["purl"] == "pkg:deb/debian/nftables@1.1-2?arch=amd64&distro=trixie"
    lock = f"aiohttp==3.14.1 \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n"
    (package,) = python(lock + "\n")
    assert package["purl"] == "pkg:pypi/aiohttp@3.14.1"
    assert package["hashes"] == [
        {"alg": "SHA-256", "content": "a" * 64},
        {"alg": "SHA-256", "content": "b" * 64},
    ]
