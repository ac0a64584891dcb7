"""The valve guard: a tiny process that owns the outputs and closes them. Standard library and the GPIO adapter only."""
