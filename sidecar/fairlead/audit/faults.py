"""Why the log could not be read, in the API's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fairlead.audit.model import Undecodable
from fairlead.audit.tokens import InvalidToken
from fairlead.audit.trimming.beginning import LogTrimmed
from fairlead.audit.watch import Draining, LogDamaged
from fairlead.control.errors import Refusal
from fairlead.store import StoreUnavailable

# Of a resume token.
NOT_IN_LOG = "names a record that is not in this log: it is of another data directory, or was lost in a power cut"


@contextmanager
def faults_refused() -> Iterator[None]:
    """Turns what goes wrong in the block into a `Refusal`."""
    try:
        yield
    except Draining as error:
        raise Refusal("DRAINING", "the sidecar is stopping: resume at its successor with the last token") from error
    except StoreUnavailable as error:
        raise Refusal("STORE_UNAVAILABLE", "the audit log cannot be read now") from error
    except LogDamaged as error:
        raise Refusal("INTERNAL", str(error), {"sequence": str(error.sequence)}) from error
    except LogTrimmed as error:
        raise trimmed(error) from error
    except (Undecodable, InvalidToken) as error:
        raise Refusal("INTERNAL", f"{error}; run fairlead audit verify") from error


def trimmed(error: LogTrimmed) -> Refusal:
    """The refusal of who asks for a record that was trimmed: where the log begins, and how to go on there."""
    first = error.beginning.first_sequence
    metadata = {"first_sequence": str(first), "resume_token": error.beginning.position.encode()}
    message = f"{error}: take what is missing from a copy, and go on with resume_token of the metadata"
    return Refusal("EVENTS_TRIMMED", message, metadata)
