"""The same chain of five steps in other durable runtimes. Every program runs in an environment of its own."""
