"""A LangGraph agent that refunds. Its state is in the sidecar, and its pause is an approval.

    python refund.py start ORDER AMOUNT     runs until it is done or people have to agree
    python refund.py approval ORDER         prints what people have to decide about
    python refund.py resume ORDER           goes on, in any process, when they have

FAIRLEAD_ENDPOINT and FAIRLEAD_TOKEN say which sidecar, and as which agent.
"""

from __future__ import annotations

import sys
from typing import Any, TypedDict

from langgraph.graph import START, StateGraph

from fairlead.integrations.langgraph import FairleadSaver, approval_interrupt, ask_approvals, resume_approved


class Refund(TypedDict, total=False):
    order: str
    amount: float
    outcome: str


def refund_at_the_bank(arguments: dict[str, Any]) -> str:
    """Where the money would go. It is called once for each pause, whatever crashes."""
    print(f"bank: {arguments['amount']} USD for order {arguments['order']}")
    return f"receipt for order {arguments['order']}"


def agent(saver: FairleadSaver) -> Any:
    """The graph: one node, which wants to call a tool."""

    def refund(state: Refund) -> Refund:
        decision = approval_interrupt("payments.refund", {"order": state["order"], "amount": state["amount"]})
        if not decision.approved:
            return {"outcome": f"refused: {decision.reason}"}
        return {"outcome": decision.call(saver.client, refund_at_the_bank)}

    builder = StateGraph(Refund)
    builder.add_node("refund", refund)
    builder.add_edge(START, "refund")
    return builder.compile(checkpointer=saver)


def main(command: str, order: str, amount: str = "0") -> None:
    with FairleadSaver() as saver:
        graph = agent(saver)
        config: Any = {"configurable": {"thread_id": f"refund-{order}"}}
        if command == "start":
            graph.invoke({"order": order, "amount": float(amount)}, config)
        if command == "approval":
            for pause in ask_approvals(graph, config):
                print(pause.approval)
            return
        # Also right after the start: what needs nobody goes on at once.
        for pause in resume_approved(graph, config).waiting:
            print(f"waits for people: fairlead approvals show {pause.approval}")
        print("outcome:", graph.get_state(config).values.get("outcome", "none yet"))


if __name__ == "__main__":
    main(*sys.argv[1:])
