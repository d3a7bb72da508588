"""Budgets as people and agents see them: names, amounts, reading and adjusting."""
