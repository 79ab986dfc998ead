"""Human review: what a machine may not decide alone waits for a person, and is remembered."""
