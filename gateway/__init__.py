"""One farm: hears the boards, plans the water, answers for the farm."""
