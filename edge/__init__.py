"""One Raspberry Pi: valves, probes, meters, and the plan it keeps when it is alone."""
