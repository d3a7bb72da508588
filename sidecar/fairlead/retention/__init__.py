"""Forgets what has ended long ago, as far as the configuration says: off unless it does.

`model` says up to when, `store` what that is and how it goes, `service` when.
"""
