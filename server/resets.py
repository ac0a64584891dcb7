"""A person's word that a valve is mended: sent to its board, and followed until the board has answered.

What a board has locked, only its own answer unlocks; the server keeps nothing of it but who asked, for the audit.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from contract.messages import Outcome, Reason, Reply, Reset
from contract.topics import Channel
from server.errors import Refused, Unavailable
from server.gateways import Gateways
from server.ledger import accounts
from server.ledger.database import Ledger
from server.live import Live
from server.records import Account, ResetRecord, Role
from server.view import FarmView

_LIFE = timedelta(seconds=60)
_ANSWER_S = 2.0
MAY_RESET = frozenset({Role.TECHNICIAN, Role.MANAGER})


class Resets:
    """What people ask to have unlocked."""

    def __init__(self, ledger: Ledger, live: Live, gateways: Gateways, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._live = live
        self._gateways = gateways
        self._now = now
        gateways.on_reply.append(self.replied)

    async def ask(self, account: Account, view: FarmView, node_id: str, channel: str) -> ResetRecord:
        """Ask a valve's board to unlock it. Raise Refused for who may not, for no such valve; Unavailable."""
        if account.role not in MAY_RESET:
            raise Refused("not-allowed")
        if not view.has_valve(node_id, channel):
            raise Refused("not-found")
        farm_id = view.farm.id
        if not self._gateways.reachable(farm_id):
            raise Unavailable("gateway", "not connected")
        now = self._now()
        order = Reset(
            id=f"cmd-{secrets.token_hex(8)}", issued_at=now, expires_at=now + _LIFE, actor=account.name,
            channel=channel, node_id=node_id,
        )  # fmt: skip
        with self._ledger.begin() as tx:
            accounts.write_down(tx, now, account.name, farm_id, "reset", f"{node_id}/{channel}", command_id=order.id)
        asked = ResetRecord(node_id=node_id, channel=channel, by=account.name, at=now, command_id=order.id)
        view.put_reset(asked)
        self._live.tell(farm_id)
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._gateways.send(farm_id, Channel.COMMAND, order, expires_s=int(_LIFE.total_seconds()))
        except TimeoutError:
            pass  # the broker may or may not have it: what the board shows will tell
        except Unavailable:
            view.put_reset(replace(asked, refused=Reason(code="gateway-away")))
            self._live.tell(farm_id)
            raise
        return asked

    def replied(self, farm_id: str, reply: Reply) -> None:
        """A board has unlocked the valve, or says why not."""
        view = self._live.view(farm_id)
        asked = None if view is None else view.reset_of(reply.command_id)
        if view is None or asked is None or reply.outcome is Outcome.ACCEPTED:
            return
        if reply.outcome is Outcome.DONE:
            view.drop_reset(asked)
        else:
            view.put_reset(replace(asked, refused=reply.reason or Reason(code="refused")))
        self._live.tell(farm_id)
