"""The appliance's image: `python -m image.build [FOLDER]`, or `make image`.

Debian package, root, disk, then the formats that hypervisors take, a list of what is inside, and
checksums.
"""

from __future__ import annotations

import sys
from pathlib import Path

from image import deb, disk, formats, root, sbom
from image.commands import OUT, BuildError, say


def main(folder: Path) -> int:
    """Build everything into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    package = deb.build(folder)
    squashfs = root.build(folder, package)
    boot = root.extract(folder, {"vmlinuz": "boot/vmlinuz", "initrd": "boot/initrd"})
    raw = disk.build(folder, squashfs, boot["vmlinuz"], boot["initrd"])
    made = [package, raw, *formats.convert(folder, raw), sbom.write(folder)]
    formats.checksums(folder, made)
    for file in made:
        say(f"{file.name}: {file.stat().st_blocks * 512 >> 20} MiB")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else OUT))
    except BuildError as error:
        say(f"make image: {error}")
        sys.exit(1)
