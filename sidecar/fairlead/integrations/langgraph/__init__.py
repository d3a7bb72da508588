"""LangGraph: a checkpointer that stores through the sidecar, and pauses that are approvals.

>>> from fairlead.integrations.langgraph import FairleadSaver
>>> with FairleadSaver("127.0.0.1:7400", token="dev") as saver:                 # doctest: +SKIP
...     graph = builder.compile(checkpointer=saver)
...     graph.invoke({"order": "4711"}, {"configurable": {"thread_id": "refund-4711"}})

Needs the extra `langgraph`: `pip install 'fairlead[langgraph]'`.
"""

try:
    import langgraph.checkpoint.base
    import langgraph.types  # noqa: F401
except ImportError as error:
    raise ImportError(
        "fairlead.integrations.langgraph needs LangGraph: install the extra, pip install 'fairlead[langgraph]'"
    ) from error

from fairlead.integrations.langgraph.approvals import ApprovalDecision, PauseState, approval_interrupt
from fairlead.integrations.langgraph.pausing import (
    PausedApproval,
    Resumption,
    aask_approvals,
    aresume_approved,
    ask_approvals,
    resume_approved,
)
from fairlead.integrations.langgraph.saver import FairleadSaver

__all__ = [
    "ApprovalDecision",
    "FairleadSaver",
    "PauseState",
    "PausedApproval",
    "Resumption",
    "aask_approvals",
    "approval_interrupt",
    "aresume_approved",
    "ask_approvals",
    "resume_approved",
]
