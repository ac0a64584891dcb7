"""The browser tests use the same house and phone as the end-to-end tests."""

from tests.e2e.conftest import house, phone

__all__ = ["house", "phone"]
