"""The thing governed: from a default probability to a limit, and why."""
