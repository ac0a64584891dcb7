"""What a technician does at a board: look at everything (`check`), and teach a probe its soil (`calibrate`)."""
