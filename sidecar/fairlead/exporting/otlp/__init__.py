"""Audit records as OTLP logs: a mirror for the tools that are there already, not the system of record.

`mapping` makes the messages, `attributes` and `genai` what is in them, `grpc_collector` and `http_collector` send them,
`answer` reads what a collector says.
"""
