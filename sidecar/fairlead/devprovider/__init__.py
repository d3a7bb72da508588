"""A small model provider for development: speaks OpenAI Chat Completions, OpenAI Responses and Anthropic Messages, with
seeded latency, token usage and faults on demand. It is what the demo, the tests and the benchmark run against; it never
leaves the machine.

| module | idea |
|---|---|
| `answers` | what is asked for and what is answered, whatever the dialect |
| `chat`, `messages`, `responses` | how each dialect asks and is answered |
| `dialects` | which path speaks which |
| `faults` | what goes wrong, and when |
| `delivery` | an answer, or a fault, as the bytes that are sent |
| `http`, `server` | the connection |
"""
