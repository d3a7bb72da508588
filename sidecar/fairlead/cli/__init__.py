"""The command line: one module per command group, found through the table in `main`."""
