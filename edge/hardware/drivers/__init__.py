"""What can be measured with: one settings model for each kind of probe, which opens it. Found by name in `driver`."""
