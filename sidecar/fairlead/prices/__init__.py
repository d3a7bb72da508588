"""Price books: dated lists of what models cost, for models whose configuration has no price of its own.

| module | idea |
|---|---|
| `model` | a book and its entries |
| `books` | a book's YAML, read and written; the starter book |
| `lookup` | which entry is a model's, and the configuration with its prices filled in |
| `community` | the community's JSON price file → a book |
"""
