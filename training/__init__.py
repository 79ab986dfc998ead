"""Data, models and candidates: fits the default probability and hands it over to be judged."""
