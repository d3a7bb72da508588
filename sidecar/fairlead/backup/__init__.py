"""Backups of the store: taken from a running or a stopped sidecar, verified, restored.

`model` is what a backup is; `parts` makes a stream of one, `writing` keeps it, `reading` checks it; `service` is the
running sidecar's side, `stopped` that of a directory without one; `restoring` and `verification` open what was kept.
"""
