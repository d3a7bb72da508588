"""What a running sidecar does right now, for people in front of a terminal.

| module | idea |
|---|---|
| `metrics` | the metrics page, read |
| `frame` | two looks at the sidecar → what is shown: rates, models, budgets |
| `drawing` | a frame as lines of text |
| `terminal` | the screen: keys, size, and putting everything back |
"""
