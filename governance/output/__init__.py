"""How numbers and pages are shown to people: one way each on a terminal and in HTML."""
