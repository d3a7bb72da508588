"""A small model provider for development: speaks the OpenAI chat dialect, with seeded latency, token usage and faults
on demand. It is what the demo, the tests and the benchmark run against; it never leaves the machine."""
