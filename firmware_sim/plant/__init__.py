"""The physics of the field: pure functions of values. Time and randomness are arguments."""
