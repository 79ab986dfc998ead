"""Measures: every statistic that more than one room needs, once."""
