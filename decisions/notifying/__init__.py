"""What a customer is told about a changed limit, and that it arrives at least once."""
