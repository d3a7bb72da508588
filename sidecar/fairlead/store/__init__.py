"""The embedded store: the only package that imports rocksdict.

`database` opens, reads and writes; `writer` and `flusher` commit what the core decides; `recovery` feeds it back;
`feed` tells the event loop what has been committed.
"""

from fairlead.store.database import CHECKPOINT, CHECKPOINT_BYTES, FORMAT_VERSION, RESTORING, Store, open_store
from fairlead.store.errors import StoreError, StoreLocked, StoreUnavailable
from fairlead.store.families import Family
from fairlead.store.feed import CommitFeed

__all__ = [
    "CHECKPOINT",
    "CHECKPOINT_BYTES",
    "FORMAT_VERSION",
    "RESTORING",
    "CommitFeed",
    "Family",
    "Store",
    "StoreError",
    "StoreLocked",
    "StoreUnavailable",
    "open_store",
]
