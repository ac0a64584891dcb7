"""Readings over time: one port, and an adapter per store."""
