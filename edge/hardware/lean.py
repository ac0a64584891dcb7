"""gpiozero without its devices, for a process that must stay small."""

import sys
from importlib.machinery import PathFinder
from types import ModuleType

from edge.hardware.errors import LineFault


def pins_only() -> None:
    """Let this process load gpiozero's pins without its devices (8 MB of 20); call it before gpiozero is imported.

    Puts an empty package in the place of gpiozero's, with the same path, so that `gpiozero.pins` is found in it.
    """
    spec = PathFinder.find_spec("gpiozero")
    if spec is None or spec.submodule_search_locations is None:
        raise LineFault("gpiozero is not installed: pip install 'tuoi[edge]'")
    package = ModuleType("gpiozero")
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules["gpiozero"] = package
