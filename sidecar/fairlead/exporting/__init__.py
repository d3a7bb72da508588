"""Exporters: the audit log goes to files, standard output, webhooks and OpenTelemetry collectors.

| module | idea |
|---|---|
| `settings` | configuration and secrets → exporters |
| `destination` | what an exporter needs of a destination, and what an attempt comes to |
| `places` | settings → a destination; libraries are loaded when the first exporter needs them |
| `lane` | one exporter: reads, delivers, tries again, acknowledges |
| `checkpoints` | which signed checkpoints go out beside the records, and when |
| `service` | the lanes of the running configuration |
| `thread` | a thread of its own for what may block for ever |
| `file`, `rotation`, `stdout` | JSON Lines |
| `cloudevents`, `webhook` | CloudEvents over signed webhooks |
| `otlp` | OTLP logs and traces over gRPC and HTTP |
| `metrics` | what a scrape sees |
"""
