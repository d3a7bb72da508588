"""What can be wrong with the store. Messages name the directory and say what to do; they end up in the log."""


class StoreError(Exception):
    """The data directory cannot be used. The daemon ends with exit code 3."""


class StoreLocked(StoreError):
    """Another process uses the data directory."""


class StoreUnavailable(StoreError):
    """The database does not take reads or writes now; the writer brings it back."""
