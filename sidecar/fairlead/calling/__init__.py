"""One governed call over HTTP, as `fairlead call` makes it: `dialects` says how each asks and answers, `exchange` is
the connection."""
