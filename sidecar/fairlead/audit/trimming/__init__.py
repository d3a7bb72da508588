"""The beginning of the audit log goes when the configuration says so: a prefix, up to a signed checkpoint.

`beginning` is where the log begins now, `checking` whether that is what was signed, `choice` says up to where it may be
trimmed, `removal` removes what lies before, `shared` is about values that others have as well, `service` does it all,
`metrics` is what a scrape sees.
"""
