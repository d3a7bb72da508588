"""Restate: a service whose handler makes five `ctx.run` steps; hypercorn serves it, as its documentation says."""

from __future__ import annotations

import os

import restate
from clock import STEPS, text

SIZE = int(os.environ["CHAIN_BYTES"])
chain = restate.Service("Chain")


@chain.handler()
async def run(ctx: restate.Context, given: str) -> str:
    """One run."""
    for number in range(STEPS):
        given = await ctx.run_typed(f"s{number}", lambda: text(SIZE))
    return given


app = restate.app([chain])
