"""The closed-loop backtest: what limit policies lead to in the simulated world."""
