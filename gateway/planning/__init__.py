"""What the gateway decides, as pure functions of what its journal holds. The time is an argument."""
