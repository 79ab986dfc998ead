"""The stages of the engine, grouped: risk, preconditions, bounds, temporary uplift."""
