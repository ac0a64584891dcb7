"""`make bench`: the numbers we promise, each beside the limit of the machine that measured it."""
