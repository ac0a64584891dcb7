"""The errors of the wire.

ContractError
├── BadTopic         not a topic of the table
├── BadPayload       not JSON, too large, too deep, a duplicate key, or not what the channel's model asks
├── NotConnected     there is no broker now; nothing was sent and nothing will be sent later
├── NotAllowed       the broker refused by its access control list (MQTT 5 reason 135)
├── TooLarge         above what the broker said it takes; sending it would end the connection
├── OutboxFull       the store is at its limit and holds nothing that may be thinned
├── StoreUnavailable a database cannot be opened: read-only, full or missing disk
└── ConfigError      a configuration file that cannot be read or that says what its model does not take
"""


class ContractError(Exception):
    """Root of everything that can go wrong between the parts."""


class BadTopic(ContractError, ValueError):
    """A topic that is not in the table."""


class BadPayload(ContractError, ValueError):
    """A payload that its channel does not take; the message names the field and what was expected."""


class NotConnected(ContractError, ConnectionError):
    """No broker now; the message was not sent and will not be."""


class NotAllowed(ContractError, PermissionError):
    """The broker's access control refused the message."""


class TooLarge(ContractError, ValueError):
    """The message is larger than the broker takes."""


class OutboxFull(ContractError, OSError):
    """Nothing left that may be thinned."""


class StoreUnavailable(ContractError, OSError):
    """A database cannot be opened where it should be."""


class ConfigError(ContractError, ValueError):
    """A configuration file at fault; the message is one sentence that names the file and the field."""
