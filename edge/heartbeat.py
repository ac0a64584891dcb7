"""The agent's own end, should its event loop hang: the guard has closed the valves, a new life helps the rest."""

import asyncio
import faulthandler

HANG_S = 30.0  # a worn SD card can take ten seconds for one commit
BEAT_S = 1.0


async def beat(hang_s: float = HANG_S) -> None:
    """Put the end of this process off by `hang_s` every second, for ever; a task beside the agent's.

    When the loop hangs for longer, every thread's stack goes to stderr and the process ends with exit code 1, by a
    thread of C that needs no help of Python's. One per process.
    """
    try:
        while True:
            faulthandler.dump_traceback_later(hang_s, exit=True)
            await asyncio.sleep(min(BEAT_S, hang_s / 2))
    finally:
        faulthandler.cancel_dump_traceback_later()
