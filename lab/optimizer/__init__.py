"""The optimizer: the most profit within the policy's envelope and the portfolio's budgets."""
