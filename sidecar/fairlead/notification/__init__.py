"""Notifications: what receivers outside are told of the audit log, and the durable outbox that brings it to them.

| module | idea |
|---|---|
| `events` | names of what can be notified of, and what a receiver selects |
| `document`, `summary`, `chat` | audit record → the JSON that is sent |
| `signature` | secrets and signatures after Standard Webhooks |
| `model`, `queue` | what follows from an answer; who is next, and when |
| `store` | keys and codecs in family `outbox` |
| `sending`, `sender`, `lookup` | one HTTP request |
| `receivers` | configuration and secrets → receivers |
| `service` | the outbox: follows the log, delivers, gives up |
| `reading`, `lane`, `recording` | its parts: what the log has for whom, one receiver, commit units |
| `desk`, `paging` | use cases of operators |
| `metrics` | what a scrape sees |
"""
