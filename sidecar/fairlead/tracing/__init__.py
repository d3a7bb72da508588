"""Traces: spans that are made from the records of the audit log, off the way of the calls.

What the log says of a call, a step, an approval or a run becomes a span when it has ended, from the records that are
about it. Nothing is held in between: what ends after days, or after a restart, is found in the store as it was.

| module | idea |
|---|---|
| `identity` | which trace and span; the same for the same records, so that a repeated export is the same span |
| `spans` | a span as OTLP has it |
| `calls` | model calls with their decision and attempts, tool calls |
| `approvals` | what people were asked |
| `runs` | runs, steps and their attempts |
| `stories` | which records and runs belong to what has ended; reads the store |
| `tracing` | a record → the spans that end with it |
| `request` | spans → an OTLP request |
"""
