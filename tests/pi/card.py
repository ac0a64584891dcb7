"""The card of the emulated board: Debian's arm64 root and kernels, and this project as its documentation installs it.

Nothing of it is run while it is made, so it needs neither root nor an ARM machine. It is kept in `build/pi` under the
hash of all that goes in, so that a second run finds it.
"""

import hashlib
import lzma
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement

from tests.pi import modules
from tests.pi.packages import Apt, unpack
from tests.pi.programs import run

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "pi"
GUEST = Path(__file__).parent / "guest"

SUITE = "bookworm"
PYTHON = "3.11"  # the suite's own
PACKAGES = ("busybox-static", "kmod", "python3")
CARD_MIB = 512  # QEMU wants a power of two
# ext4 asks for its checksum by a name that modprobe does not know.
REACH_THE_CARD = ("bcm2835", "crc32c_generic", "ext4")
ON_THE_CARD = (*REACH_THE_CARD, "phy-generic", "dwc2", "cdc_ether", "rndis_host", "i2c-dev")
# No board has these, and they are many of a kernel's modules.
UNWIRED = [f"./lib/modules/*/kernel/{name}" for name in ("sound", "drivers/gpu", "drivers/media", "drivers/iio")]
PLATFORMS = ("manylinux_2_34_aarch64", "manylinux_2_28_aarch64", "manylinux2014_aarch64", "manylinux_2_17_aarch64")
UNITS = ("tuoi-guard.service", "tuoi-agent.service")
# fmt: off
APPLETS = (
    *("cat", "chgrp", "chmod", "chown", "date", "dmesg", "env", "grep", "ip", "kill", "ls", "mkdir", "mount", "sh", "sleep"),
    *("basename", "i2cset", "stty", "su", "taskset", "usleep"),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel of Debian's, by the suite that it is in, and what is said to it when it starts.

    A `wired` one has a meter's line and a converter's bus, by modules that Debian does not ship.
    """

    name: str
    suite: str
    append: str
    wired: bool = False


RELEASING = Kernel("releasing", SUITE, "", wired=True)
"""Debian's own: takes a dead process's output lines back to inputs."""
PERSISTING = Kernel("persisting", f"{SUITE}-backports", "pinctrl_bcm2835.persist_gpio_outputs=y")
"""Keeps a dead process's output lines as they were, as Raspberry Pi OS does."""
KERNELS = (RELEASING, PERSISTING)


@dataclass(frozen=True, slots=True)
class Card:
    """A finished card and, for each kernel, the files that the board's firmware would take from it."""

    folder: Path

    @property
    def image(self) -> Path:
        """The card itself, never written to: a board gets a copy."""
        return self.folder / "card.img"

    @property
    def initrd(self) -> Path:
        """The first files in memory, for either kernel."""
        return self.folder / "initrd"

    def kernel(self, kernel: Kernel) -> Path:
        """The kernel."""
        return self.folder / f"{kernel.name}.kernel"

    def device_tree(self, kernel: Kernel) -> Path:
        """The description of the board that goes with it."""
        return self.folder / f"{kernel.name}.dtb"


def card() -> Card:
    """Return the card for this state of the project, made now if it is not there."""
    done = BUILD / f"card-{_key()}"
    if not done.exists():
        work = BUILD / f"work-{os.getpid()}"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        _make(work)
        for old in BUILD.glob("card-*"):
            shutil.rmtree(old)
        (work / "card").rename(done)
        shutil.rmtree(work)
    return Card(done)


def _key() -> str:
    """Hash what a board runs, how it is installed, and how the card is made."""
    folders = (ROOT / "contract", ROOT / "edge", ROOT / "irrigation", GUEST)
    files = [Path(__file__).with_name(name) for name in ("card.py", "modules.py", "packages.py", "programs.py")]
    files += [ROOT / "configs" / unit for unit in UNITS]
    files += [ROOT / name for name in ("pyproject.toml", "requirements/build.in", "requirements/edge.lock", "tuoi.py")]
    files += [
        path for folder in folders for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    whole = hashlib.sha256()
    for path in sorted(files):
        whole.update(f"{path.relative_to(ROOT)}\0{path.stat().st_mode:o}\0".encode() + path.read_bytes())
    return whole.hexdigest()[:16]


def _make(work: Path) -> None:
    root, initrd, done = work / "root", work / "initrd", work / "card"
    done.mkdir()
    for folder in ("dev", "mnt", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/lib", "usr/sbin", "var/tmp"):
        (root / folder).mkdir(parents=True)
    for name in ("bin", "lib", "sbin"):
        (root / name).symlink_to(f"usr/{name}")
    for folder in ("bin", "card", "dev", "proc", "sys"):
        (initrd / folder).mkdir(parents=True)
    suites = {suite: Apt(BUILD / "apt" / suite, suite, "arm64") for suite in {SUITE, *(one.suite for one in KERNELS)}}
    with ThreadPoolExecutor() as together:
        jobs = [together.submit(_kernel, each, suites[each.suite], work, done, together) for each in KERNELS]
        for package in suites[SUITE].closure(PACKAGES):
            unpack(package, root)
        shutil.copy(root / "bin/busybox", initrd / "bin/busybox")
        shutil.copy(GUEST / "initrd", initrd / "init")
        _project(work, root)
        _guest(root)
        for job in jobs:
            job.result()
    run("sh", "-c", 'find . | cpio --quiet -o -H newc -R 0:0 > "$1"', "sh", done / "initrd", cwd=initrd)
    with (done / "card.img").open("wb") as file:
        file.truncate(CARD_MIB << 20)
    # In a namespace where we are root, so that the files are root's on the card.
    run("unshare", "--map-root-user", "mkfs.ext4", "-q", "-F", "-d", root, done / "card.img")


def _kernel(kernel: Kernel, apt: Apt, work: Path, done: Path, together: ThreadPoolExecutor) -> None:
    """Fetch a kernel; put it and its device tree where the emulator takes them, and its modules on the card."""
    folder = work / kernel.name
    image = next(name for name in apt.depends("linux-image-arm64") if name.startswith("linux-image-"))
    version = image.removeprefix("linux-image-")
    # Begun at once, for it takes as long as all the rest of the card.
    built = together.submit(modules.built, version, kernel.suite, apt, BUILD) if kernel.wired else None
    package = apt.alone(image)
    tree = "broadcom/bcm2837-rpi-3-b.dtb"
    only = ("./boot/vmlinuz-*", "./lib/modules", f"./usr/lib/linux-image-*/{tree}")
    unpack(package, folder, *only, without=UNWIRED)
    shutil.copy(next(folder.glob("boot/vmlinuz-*")), done / f"{kernel.name}.kernel")
    board = shutil.copy(next(folder.glob(f"usr/lib/linux-image-*/{tree}")), done / f"{kernel.name}.dtb")
    # The board's firmware writes its revision here before it starts Linux, and gpiozero reads it.
    run("fdtput", "-c", board, "/system")
    run("fdtput", "-t", "x", board, "/system", "linux,revision", "0xa02082")
    ours = built.result() if built is not None else []
    for module in ours:
        shutil.copy(module, folder / "lib/modules" / version)
    run("depmod", "-b", folder, version)
    _modules(folder, version, work / "root", (*ON_THE_CARD, *(module.stem for module in ours)))
    _modules(folder, version, work / "initrd", REACH_THE_CARD)


def _modules(kernel: Path, version: str, root: Path, names: Iterable[str]) -> None:
    """Copy modules and what they need, unpacked: busybox reads no compressed ones."""
    for name in names:
        plan = run("modprobe", "-d", kernel, "-S", version, "--show-depends", name)
        for path in (Path(line.split()[1]) for line in plan.splitlines() if line.startswith("insmod")):
            copy = root / path.relative_to(kernel).with_name(path.name.removesuffix(".xz"))
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes())
    for name in ("modules.builtin", "modules.order"):
        shutil.copy(kernel / "lib/modules" / version / name, root / "lib/modules" / version / name)
    run("depmod", "-b", root, version)


def _project(work: Path, root: Path) -> None:
    """Install the edge extra and the project in /opt/tuoi/.venv, from the lock, for the board's machine."""
    venv = root / "opt/tuoi/.venv"
    site = venv / f"lib/python{PYTHON}/site-packages"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n")
    (venv / "bin/python").symlink_to(f"/usr/bin/python{PYTHON}")
    (venv / "bin/tuoi").write_text(
        "#!/opt/tuoi/.venv/bin/python\nimport sys\nfrom tuoi import main\nsys.exit(main())\n"
    )
    (venv / "bin/tuoi").chmod(0o755)
    lock = work / "edge.lock"
    lock.write_text("".join(_for_the_board((ROOT / "requirements/edge.lock").read_text())))
    machine = [word for platform in PLATFORMS for word in ("--platform", platform)]
    machine += [
        "--python-version",
        PYTHON,
        "--implementation",
        "cp",
        "--abi",
        f"cp{PYTHON.replace('.', '')}",
        "--abi",
        "none",
        "--abi",
        "abi3",
    ]
    into = ("install", "--no-compile", "--target", site)  # compiled below, with all else
    _pip(*into, "--only-binary=:all:", "--no-deps", *machine, "--require-hashes", "-r", lock)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", work / "wheel", ROOT, env={"WEB_BUILD": "skip"})
    _pip(*into, "--no-deps", next((work / "wheel").glob("tuoi-*.whl")))
    shutil.rmtree(site / "bin", ignore_errors=True)
    # As docs/operations.md has it done on a board: for the agent, and for the guard's -OO.
    if sys.version_info[:2] == tuple(map(int, PYTHON.split("."))):
        levels = ("-o", "0", "-o", "2", "--invalidation-mode", "unchecked-hash")
        run(sys.executable, "-m", "compileall", "-q", *levels, "-s", root, site, root / f"usr/lib/python{PYTHON}")


def _for_the_board(lock: str) -> Iterator[str]:
    """Yield the lock's requirements that a board installs. pip asks markers of the machine that it runs on."""
    board: dict[str, Any] = {
        **default_environment(),
        "platform_machine": "aarch64",
        "python_full_version": f"{PYTHON}.0",
        "python_version": PYTHON,
        "sys_platform": "linux",
    }
    to_build = {
        Requirement(line).name
        for line in (ROOT / "requirements/build.in").read_text().splitlines()
        if line[:1] not in "# "
    }
    for entry in lock.replace("\\\n", " ").splitlines():
        wanted, *hashes = entry.split(" --hash=")
        requirement = Requirement(wanted)
        if requirement.name not in to_build and (requirement.marker is None or requirement.marker.evaluate(board)):
            yield f"{requirement.name}{requirement.specifier} {' '.join(f'--hash={each.strip()}' for each in hashes)}\n"


def _pip(*args: str | Path, env: dict[str, str] | None = None) -> None:
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore", **(env or {})}
    run(sys.executable, "-m", "pip", "--quiet", *args, env=quiet)


def _guest(root: Path) -> None:
    """Lay the guest's own files over the root, and say to its init what the project's units say to systemd."""
    shutil.copytree(GUEST, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("initrd"))
    (root / "etc/board-services").write_text("".join(_service(ROOT / "configs" / unit) for unit in UNITS))
    for applet in APPLETS:
        if not (root / "bin" / applet).exists():
            (root / "bin" / applet).symlink_to("busybox")


def _service(unit: Path) -> str:
    """Return a unit's line for the guest's init: name, seconds, start, what to do when it ended."""
    words: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and name[:1].isalpha():
            words.setdefault(name, []).append(value)
    env = "".join(f"{each} " for each in words.get("Environment", ()))
    (start,), (seconds,) = words["ExecStart"], words["RestartSec"]
    ended = "; ".join(f"env {env}{each.lstrip('-')}" for each in words.get("ExecStopPost", ()))
    return "|".join((unit.stem, seconds, f"env {env}{start}", ended)) + "\n"


if __name__ == "__main__":
    print(card().folder)
