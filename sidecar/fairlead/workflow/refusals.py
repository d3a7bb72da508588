"""Says in the API's words why something about a run cannot be told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fairlead.audit.model import Undecodable
from fairlead.audit.watch import Draining, LogDamaged
from fairlead.control.errors import Refusal
from fairlead.store import StoreUnavailable
from fairlead.workflow.store import RunDamaged


@contextmanager
def faults_refused() -> Iterator[None]:
    """Turns what can go wrong with the store in the block into refusals."""
    try:
        yield
    except Draining as error:
        raise Refusal("DRAINING", "the sidecar is stopping: watch again at its successor") from error
    except StoreUnavailable as error:
        raise Refusal("STORE_UNAVAILABLE", "runs cannot be read now") from error
    except RunDamaged as error:
        raise Refusal("INTERNAL", f"the store is damaged: {error}") from error
    except (LogDamaged, Undecodable) as error:
        raise Refusal("INTERNAL", f"{error}; run fairlead audit verify") from error


def not_found(name: str) -> Refusal:
    """What is not there, or belongs to another tenant: the same for both."""
    return Refusal("NOT_FOUND", f"{name} is not known", {"name": name})
