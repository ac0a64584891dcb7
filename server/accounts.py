"""People, their passwords and their sessions."""

import asyncio
import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from contract.errors import ConfigError
from server.errors import Refused
from server.ledger import accounts as rows
from server.ledger import farms
from server.ledger.database import Ledger
from server.records import Account, Role

SESSION_LIFE = timedelta(days=30)
LANGUAGES = ("vi", "en", "fr")
LEAST_PASSWORD = 8
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}")
_FREE_TRIES = 3
_LONGEST_WAIT_S = 60.0
_REMEMBERED_TRIES = 10_000
_HASHES_AT_ONCE = 2  # each takes 64 MiB


def add_account(
    ledger: Ledger,
    *,
    name: str,
    password: str,
    role: Role,
    farm_ids: Iterable[str],
    now: datetime,
    display_name: str = "",
    language: str = "vi",
    hasher: PasswordHasher | None = None,
) -> Account:
    """Add a person, or change the one of that name. Raise ConfigError with a sentence about what is wrong."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"the name must be 1 to 48 of a-z, 0-9, dot, underscore and hyphen, not {name!r}")
    if len(password) < LEAST_PASSWORD:
        raise ConfigError(f"the password must have {LEAST_PASSWORD} characters at least, not {len(password)}")
    if language not in LANGUAGES:
        raise ConfigError(f"the language must be one of {', '.join(LANGUAGES)}, not {language!r}")
    chosen = frozenset(farm_ids)
    if role is Role.FARMER and not chosen:
        raise ConfigError("a farmer needs a farm: name one or more with --farm")
    with ledger.begin() as tx:
        known = farms.ids(tx)
        for farm_id in sorted(chosen - set(known)):
            raise ConfigError(f"there is no farm {farm_id!r}; there are: {', '.join(known) or 'none yet'}")
        account = Account(
            name=name, display_name=display_name or name, role=role, language=language, farms=chosen or None
        )
        rows.put(tx, account, (hasher or PasswordHasher()).hash(password), now)
        rows.write_down(tx, now, name, None, "account", name, role=role.value, farms=sorted(chosen))
    return account


@dataclass(slots=True)
class _Tries:
    failed: int = 0
    wait_until_s: float = 0.0


class BackOff:
    """Slows down whoever guesses one person's password from one address; the person elsewhere is never locked out."""

    def __init__(self, at_s: Callable[[], float]) -> None:
        self._at_s = at_s
        self._tries: OrderedDict[tuple[str, str], _Tries] = OrderedDict()

    def wait_s(self, name: str, address: str) -> float:
        """How long they must wait before the next try; 0 = not at all."""
        known = self._tries.get((name, address))
        return 0.0 if known is None else max(0.0, known.wait_until_s - self._at_s())

    def failed(self, name: str, address: str) -> None:
        """A wrong password: after three, each doubles the wait, up to a minute."""
        known = self._tries.setdefault((name, address), _Tries())
        self._tries.move_to_end((name, address))
        known.failed += 1
        if known.failed >= _FREE_TRIES:
            wait_s = min(2.0 ** min(known.failed - _FREE_TRIES, 10), _LONGEST_WAIT_S)
            known.wait_until_s = self._at_s() + wait_s
        while len(self._tries) > _REMEMBERED_TRIES:
            self._tries.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """The right password: forgotten."""
        self._tries.pop((name, address), None)


class Doorkeeper:
    """Signs people in and out, and knows whose session a token is."""

    def __init__(
        self,
        ledger: Ledger,
        now: Callable[[], datetime],
        at_s: Callable[[], float],
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._ledger = ledger
        self._now = now
        self._hasher = hasher or PasswordHasher()
        self._back_off = BackOff(at_s)
        self._hashing = asyncio.Semaphore(_HASHES_AT_ONCE)
        # A name that nobody has takes as long as one that somebody has.
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    async def sign_in(self, name: str, password: str, address: str) -> tuple[Account, str]:
        """The person and a new session's token; raise Refused `wrong-sign-in` or `try-later`."""
        wait_s = self._back_off.wait_s(name, address)
        if wait_s > 0:
            raise Refused("try-later", wait_s=float(int(wait_s) + 1))
        self._back_off.failed(name, address)  # before the slow part, so that parallel guesses count too
        with self._ledger.read() as connection:
            found = rows.find(connection, name)
        async with self._hashing:
            right = await asyncio.to_thread(self._matches, self._nobody if found is None else found[1], password)
        if found is None or not right:
            raise Refused("wrong-sign-in")
        self._back_off.succeeded(name, address)
        token = secrets.token_urlsafe(32)
        now = self._now()
        with self._ledger.begin() as tx:
            rows.open_session(tx, _hash(token), name, now, now + SESSION_LIFE)
            rows.write_down(tx, now, name, None, "sign-in", name, address=address)
        return found[0], token

    def who(self, token: str | None) -> Account:
        """Whose session this is; raise Refused `not-signed-in`."""
        if token:
            with self._ledger.read() as connection:
                account = rows.by_session(connection, _hash(token), self._now())
            if account is not None:
                return account
        raise Refused("not-signed-in")

    def sign_out(self, token: str) -> None:
        """Forget the session."""
        with self._ledger.begin() as tx:
            rows.close_session(tx, _hash(token))

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerifyMismatchError, InvalidHashError):
            return False


def _hash(token: str) -> str:
    # The token is 256 random bits: a plain hash is enough to make a stolen ledger useless.
    return hashlib.sha256(token.encode()).hexdigest()
