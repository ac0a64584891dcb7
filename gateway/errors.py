"""The errors of the gateway.

GatewayError
└── ConfigRefused    settings that the farm cannot be run by; the last good ones stay in force
"""


class GatewayError(Exception):
    """Root of what can go wrong in the gateway."""


class ConfigRefused(GatewayError, ValueError):
    """The farm's new settings cannot be applied; the message says why, and nothing of them was."""
