"""Workflows and their runs: read, watched, steered and, when their time has come, deleted."""
