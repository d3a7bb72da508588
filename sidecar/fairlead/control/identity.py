"""Who makes a control call. Set by the interceptors, before the servicer runs; never taken from a message."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """An agent inside its tenant, or an operator; the fields of the other one are empty."""

    tenant: str = ""
    agent: str = ""
    operator: str = ""
    roles: frozenset[str] = frozenset()


# Who uses the operator socket without a token: the file's owner, by no name and with no role.
LOCAL_OPERATOR = "local"
NOBODY = Identity()
_current: ContextVar[Identity] = ContextVar("fairlead_identity", default=NOBODY)


def current() -> Identity:
    """Who makes the call that this task serves; `NOBODY` outside of a call."""
    return _current.get()


def assume(identity: Identity) -> None:
    """Sets who makes the call that this task serves. For interceptors and tests."""
    _current.set(identity)
