"""A board carries neither the sun nor cron: what it imports does not ask for them."""

import subprocess
import sys


def test_the_agent_imports_no_library_of_the_planner() -> None:
    code = "import sys, edge.app; print([name for name in sys.modules if name.split('.')[0] in ('astral', 'cronsim')])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
