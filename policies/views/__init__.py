"""Pages of policies: reading them, editing, deciding, and backtests."""
