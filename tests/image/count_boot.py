"""How much a boot asks of a processor: instructions from power to the first registered phone.

    python -m tests.image.count_boot

For machines that can only emulate a guest, where seconds mean nothing. The normal boot chain runs:
firmware, GRUB, kernel, initramfs, everything that the image starts; for the first time on its disk,
which does more than any later start, and once more. Written into var/image/boot-instructions.txt.
"""

from __future__ import annotations

import struct
import subprocess
import tempfile
from pathlib import Path

from tests.image.site import NETWORK, USER, Site
from tests.image.virtual import BUILT, on_the_network, seed

SOURCE = Path(__file__).with_name("instructions.c")
PATIENCE = 3000.0
RATES = (1e9, 2e9, 3e9)
"""Instructions a second: of a slow, a usual and a fast processor."""
STAGES = (
    "firmware, boot loader, unpacking",
    "kernel by itself",
    "all programs to the phone",
    "kernel for them",
)


def counted(site: Site, numbers: Path) -> list[int]:
    """Start the machine, wait for the first phone, and return what each stage took."""
    numbers.unlink(missing_ok=True)
    site.appliance.start()
    site.register("101", PATIENCE)
    total, kernel, user, all_kernel = struct.unpack("<4Q", numbers.read_bytes())
    site.appliance.cut()
    served = all_kernel - (user - kernel)
    return [kernel, user - kernel, total - user - served, served]


def line(name: str, count: int) -> str:
    """Write one stage, with the seconds at each rate."""
    seconds = "  ".join(f"{count / rate:5.1f} s" for rate in RATES)
    return f"  {name:<46} {count / 1e9:6.2f} thousand million  {seconds}\n"


def main() -> None:
    """Count, and write what was counted."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        plugin, numbers = folder / "count.so", folder / "numbers"
        words = ["gcc", "-O2", "-shared", "-fPIC", "-o", plugin, SOURCE]
        subprocess.run(words, check=True)
        with on_the_network(folder, 1, kvm=False) as (network, appliance):
            appliance.seed = seed(folder, USER, NETWORK, "count-1")
            # One processor: what two do side by side counts as if one did it after the other. Its
            # clock goes on by instructions too, or what is done each second would be done for
            # each of the many seconds that an emulation takes.
            appliance.processor = ["-accel", "tcg,thread=single,tb-size=256", "-cpu", "Nehalem"]
            appliance.direct = ["-smp", "1", "-icount", "shift=0"]
            appliance.direct += ["-plugin", f"{plugin},out={numbers}"]
            site = Site(network, appliance, kvm=False)
            text = "seconds at 1, 2 and 3 thousand million instructions a second\n"
            for name in ("the first start", "a later start"):
                stages = counted(site, numbers)
                text += f"{name}:\n" + "".join(map(line, STAGES, stages)) + line("all", sum(stages))
                print(text, flush=True)
    (BUILT / "boot-instructions.txt").write_text(text)


if __name__ == "__main__":
    main()
