"""Debian's arm64 packages, fetched by an apt of our own: the machine's packages and settings are left alone.

Where to fetch from is what the machine's own apt says; only the suite and the architecture are ours.
"""

import functools
import re
from collections.abc import Sequence
from pathlib import Path

from tests.pi.programs import run

UNREAD = ("doc", "info", "locale", "man")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class NoMirror(AssertionError):
    """The machine's apt knows no Debian archive."""


@functools.cache
def mirror() -> str:
    """Return the Debian archive that the machine's apt uses; raise NoMirror."""
    wanted = ("--format", "$(REPO_URI)", "Origin: Debian", "Component: main", "Created-By: Packages")
    for address in run("apt-get", "indextargets", *wanted).split():
        if "security" not in address:
            return address
    raise NoMirror("apt knows no Debian archive: the card is made of Debian's packages, see `apt-get indextargets`")


class Apt:
    """One suite of Debian for one architecture, with an empty machine behind it: a closure is complete."""

    def __init__(self, folder: Path, suite: str, architecture: str) -> None:
        self._folder = folder
        for part in ("etc/preferences.d", "lists/partial", "archives/partial", "debs"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        (folder / "etc/sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n")
        settings = {
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "APT::Sandbox::User": "root",  # there may be nobody else who can read the folder
            "APT::Install-Recommends": "false",
            "Dir::Etc": folder / "etc",
            "Dir::State::Lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache::archives": folder / "archives",
            "Dir::Cache::pkgcache": folder / "packages",  # else each call reads all that Debian has
            "Dir::Cache::srcpkgcache": "",
        }
        (folder / "apt.conf").write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
        self._env = {"APT_CONFIG": str(folder / "apt.conf")}
        self._apt("update")

    def depends(self, package: str) -> list[str]:
        """Return what a package depends on, by name."""
        lines = run("apt-cache", "depends", package, env=self._env).splitlines()
        return [line.split()[-1] for line in lines if line.strip().startswith("Depends:")]

    def closure(self, packages: Sequence[str]) -> list[Path]:
        """Fetch the packages and all that they depend on, checked by signature and hash."""
        plan = self._apt("install", "--simulate", *packages)
        found = re.findall(r"^Inst (\S+) \((\S+) .*\[(\w+)\]\)", plan, re.MULTILINE)
        names = [f"{name}_{version.replace(':', '%3a')}_{architecture}.deb" for name, version, architecture in found]
        self._apt("install", "--yes", "--download-only", *packages)
        return [self._folder / "archives" / name for name in names]

    def alone(self, package: str) -> Path:
        """Fetch one package without what it depends on."""
        # Where none lies yet, for it prints nothing about what it finds.
        name = self._apt("download", "--print-uris", package, cwd=self._folder).split()[1]
        self._apt("download", package, cwd=self._folder / "debs")
        return self._folder / "debs" / name

    def _apt(self, *args: str, cwd: Path | None = None) -> str:
        return run("apt-get", "-qq", *args, env=self._env, cwd=cwd)


def unpack(package: Path, folder: Path, *only: str, without: Sequence[str] = ()) -> None:
    """Extract a package's files, or only those that match a pattern, without some; nothing of it is run."""
    folder.mkdir(parents=True, exist_ok=True)
    # Not `dpkg-deb -x`, which would put a folder in the place of the link /bin.
    pipe = 'package=$1; shift; dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink "$@"'
    unread = [f"--exclude={name}" for name in (*(f"./usr/share/{each}" for each in UNREAD), *without)]
    run("sh", "-c", pipe, "sh", package, *unread, "-C", folder, *(("--wildcards", *only) if only else ()))
