"""The simulated world: consumers and small firms month by month, anchored on real rows."""
