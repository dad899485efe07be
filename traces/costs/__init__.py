"""What decisions cost: usage, prices, rollups, budgets."""
