"""The tamper-evident log: its chain, how it is read, watched, verified and put into words."""
