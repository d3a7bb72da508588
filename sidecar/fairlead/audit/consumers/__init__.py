"""Named consumers of the audit log: who reads it to the end, and how far each has come.

`model` says what is remembered of one, `store` where, `service` registers, acknowledges, lists and removes,
`reading` is what an exporter inside the sidecar reads with, `metrics` what a scrape sees.
"""
