"""The closed loop: limit policies lived in a simulated world, against each other."""
