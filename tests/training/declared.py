"""Features that several small worlds of these tests declare alike."""

LATE_AND_LOAD = """
[[features]]
name = "months_late"
sql = "late"
sources = ["late"]
sign = 1
reason_group = "delinquency"
why = "Months late."

[[features]]
name = "load"
sql = "owed * 1.0 / line"
sources = ["owed", "line"]
sign = 1
reason_group = "utilization"
why = "Owed against the line."
"""
