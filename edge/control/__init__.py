"""A board's decisions, pure: no clock, no I/O; the time is an argument."""
