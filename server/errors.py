"""What can go wrong in the server.

ServerError
├── Refused        a rule says no; the API makes a problem document of `code`, `params` and `field`
└── Unavailable    a store or a link does not answer now; nothing was changed
"""


class ServerError(Exception):
    """Root of the server's errors."""


class Refused(ServerError):
    """A request that a rule refuses. `code` is a key of server/words, `field` the JSON path at fault."""

    def __init__(self, code: str, *, field: str | None = None, **params: float | str) -> None:
        super().__init__(f"{code} {params}" if params else code)
        self.code = code
        self.field = field
        self.params = params


class Unavailable(ServerError, ConnectionError):
    """`what` (ledger, series, gateway) does not answer; `tried` says what was attempted and what came back."""

    def __init__(self, what: str, tried: str = "") -> None:
        super().__init__(f"{what} does not answer: {tried}" if tried else f"{what} does not answer")
        self.what = what
