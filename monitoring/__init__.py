"""Is the model right, is it fair, has the world moved: measured from counts, reported on time."""
