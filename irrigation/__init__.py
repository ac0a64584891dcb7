"""What we know about watering: pure rules. No clock, no I/O, no network; the time is an argument."""
