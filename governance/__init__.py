"""Words, counts, evidence, gate: what every other room agrees on and none may bend."""
