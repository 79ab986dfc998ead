"""One command over all rooms: ``limitline <verb>``."""
