"""Models, statements, approvals, ledger: remembers everything and never sees a person."""
