"""Kernel modules that Debian's arm64 kernel is shipped without, built on this machine from Debian's source of it.

They are kept in `build/pi`, by the kernel that they are for. Nothing of what is fetched is installed but the compiler.
"""

import hashlib
import os
import shutil
from pathlib import Path

from tests.pi.packages import Apt, unpack
from tests.pi.programs import run

SOURCES = ("drivers/gpio/gpio-sim.c", "drivers/gpio/gpiolib.h", "drivers/i2c/i2c-stub.c", "kernel/irq/irq_sim.c")
# gpio-sim wants irq_sim, which this kernel has not: it is linked into the module, where it can reach only what is exported.
EXPORTED = ("handle_simple_irq(irq_to_desc(irqnum))", "generic_handle_irq(irqnum)")
KBUILD = """
obj-m := gpio-sim.o i2c-stub.o
gpio-sim-y := gpio-sim-main.o irq_sim.o
ccflags-y := -I$(src)
"""
MACHINE = "aarch64-linux-gnu"


def built(version: str, suite: str, apt: Apt, builds: Path) -> list[Path]:
    """Return gpio-sim and i2c-stub for the kernel of that version, made now if they are not there.

    `apt` fetches the suite's arm64 packages; `builds` is the folder in which all of this is kept.
    """
    key = hashlib.sha256(f"{version}\0".encode() + Path(__file__).read_bytes()).hexdigest()[:16]
    done = builds / f"modules-{key}"
    if not done.exists():
        work = builds / f"modules-work-{os.getpid()}"
        shutil.rmtree(work, ignore_errors=True)
        _fetch(version, suite, apt, builds, work)
        _make(version, work)
        for old in builds.glob("modules-????????????????"):
            shutil.rmtree(old)
        (work / "modules").rename(done)
        shutil.rmtree(work)
    return sorted(done.iterdir())


def _fetch(version: str, suite: str, apt: Apt, builds: Path, work: Path) -> None:
    """Lay headers, the tools that build with them, and the few files of the source into `work`."""
    series = ".".join(version.split(".")[:2])
    here = run("dpkg", "--print-architecture").strip()
    tools = Apt(builds / "apt" / f"{suite}-{here}", suite, here)  # they run on this machine
    for headers in (version, f"{version.removesuffix('-arm64')}-common"):
        unpack(apt.alone(f"linux-headers-{headers}"), work)
    unpack(tools.alone(f"linux-kbuild-{series}"), work)
    source = f"linux-source-{series}"
    archive = f"usr/src/{source}.tar.xz"
    unpack(apt.alone(source), work, f"./{archive}")
    run("tar", "-xJf", work / archive, "-C", work, "--strip-components=1", *(f"{source}/{file}" for file in SOURCES))


def _make(version: str, work: Path) -> None:
    code, headers = work / "code", work / f"usr/src/linux-headers-{version}"
    code.mkdir()
    for file in SOURCES:
        shutil.copy(work / file, code)
    (code / "gpio-sim.c").rename(code / "gpio-sim-main.c")
    simulated = code / "irq_sim.c"
    simulated.write_text(simulated.read_text().replace(*EXPORTED))
    (code / "Makefile").write_text(KBUILD)
    makefile = headers / "Makefile"  # one line, with the place where the package would be installed
    makefile.write_text(makefile.read_text().replace("/usr/src", f"{work}/usr/src"))
    target = ("ARCH=arm64", f"CROSS_COMPILE={MACHINE}-", "DEB_HOST_ARCH=arm64", f"DEB_HOST_GNU_TYPE={MACHINE}")
    # Whatever `make test-pi` was given is not for this one.
    run("make", "-C", headers, f"M={code}", *target, "modules", env={"MAKEFLAGS": ""})
    (work / "modules").mkdir()
    for module in code.glob("*.ko"):
        run(f"{MACHINE}-strip", "--strip-debug", "-o", work / "modules" / module.name, module)
