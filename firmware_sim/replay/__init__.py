"""Days of a farm in seconds: the gateway's own parts and the boards' own rules in virtual time."""
