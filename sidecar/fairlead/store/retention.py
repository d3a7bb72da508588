"""Forgets what request ids did after 24 hours, hour by hour, with one tombstone per family."""

from fairlead.store import keys
from fairlead.store.database import Store
from fairlead.store.families import Family

KEPT_HOURS = 24
INTERVAL_SECONDS = 3600.0
_BY_HOUR = (Family.REQUESTS, Family.BLOBS)


def forget_old_requests(store: Store, now_unix_nanos: int) -> None:
    """Deletes the hours that ended more than KEPT_HOURS ago. Raises StoreUnavailable."""
    oldest = keys.hour(now_unix_nanos) - KEPT_HOURS
    if oldest > 0:
        begin, end = keys.request_hour(0), keys.request_hour(oldest)
        store.delete_ranges((family, begin, end) for family in _BY_HOUR)
