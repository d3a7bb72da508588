"""Lists of runs against a model that filters and sorts a plain list, however small the pages and the bounds are."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.control.identity import Identity
from fairlead.internal.v1 import workflow_pb2
from fairlead.v1 import run_pb2
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.workflow import service, store
from fairlead.workflow.model import OPEN
from fairlead.workflow.service import RunService
from fairlead.workflow.store import Runs
from tests.unit.approval.fakes import at
from tests.unit.audit.records import T0
from tests.unit.workflow.fakes import MINUTE, RunCore, id_of, name_of, run_record

STATES = [run_pb2.RUN_STATE_RUNNING, run_pb2.RUN_STATE_PAUSED, run_pb2.RUN_STATE_FAILED, run_pb2.RUN_STATE_SUCCEEDED]
TENANTS = ["acme", "globex", "größe"]
MOST = 24
NOW = T0 + 10_000 * MINUTE


@st.composite
def some_runs(draw: st.DrawFn) -> list[workflow_pb2.RunRecord]:
    """Runs 1 to n; a child is of its parent's tenant and newer."""
    made: list[workflow_pb2.RunRecord] = []
    for number in range(1, draw(st.integers(0, MOST)) + 1):
        parent = draw(st.sampled_from(made)) if made and draw(st.booleans()) else None
        made.append(
            run_record(
                number,
                parent.tenant if parent is not None else draw(st.sampled_from(TENANTS)),
                state=draw(st.sampled_from(STATES)),
                workflow=draw(st.sampled_from(["one", "two"])),
                labels=draw(st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=2)),
                parent=parent.run if parent is not None else "",
                delete_time_unix_nanos=draw(st.sampled_from([0, 0, 0, NOW - 1, NOW + 1])),
            )
        )
    return made


FILTERS: dict[str, st.SearchStrategy[Any]] = {
    "workflow": st.sampled_from(["one", "two", "none"]),
    "states": st.lists(st.sampled_from(STATES), max_size=3),
    "labels": st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=1),
    "created_from": st.integers(0, MOST + 1).map(lambda n: at(T0 + n * MINUTE)),
    "created_until": st.integers(0, MOST + 1).map(lambda n: at(T0 + n * MINUTE)),
    "parent": st.integers(1, MOST).map(name_of),
    "tenant": st.sampled_from(TENANTS),
}


@st.composite
def filters(draw: st.DrawFn) -> dict[str, Any]:
    """None, one or two: with more of them hardly anything fits."""
    names = draw(st.lists(st.sampled_from(sorted(FILTERS)), max_size=2, unique=True))
    return {name: draw(FILTERS[name]) for name in names}


def wanted(run: workflow_pb2.RunRecord, asked: dict[str, Any], own: str) -> bool:
    """The meaning of the filters, in the words of the API."""
    created = run.create_time_unix_nanos
    return all(
        (
            own in ("", run.tenant),
            asked.get("tenant", "") in ("", run.tenant),
            asked.get("workflow", run.workflow) == run.workflow,
            not asked.get("states") or run.state in asked["states"],
            asked.get("labels", {}).items() <= dict(run.labels).items(),
            "created_from" not in asked or created >= asked["created_from"].ToNanoseconds(),
            "created_until" not in asked or created < asked["created_until"].ToNanoseconds(),
            "parent" not in asked or "runs/" + run.parent == asked["parent"],
            run.parent or not 0 < run.delete_time_unix_nanos <= NOW,
        )
    )


@settings(max_examples=150)
@given(
    runs=some_runs(),
    asked=filters(),
    own=st.sampled_from(["", "", *TENANTS]),
    page_size=st.sampled_from([0, 0, 1, 2, 5]),
    looked_at=st.sampled_from([1, 5, 1000, 1000]),
    read_bytes=st.sampled_from([0, 900, 1 << 20, 1 << 20]),
    page_bytes=st.sampled_from([0, 900, 1 << 20, 1 << 20]),
    chunk=st.integers(1, 4),
    ends=st.lists(st.integers(1, MOST), max_size=3),
)
def test_the_pages_of_a_list_are_what_fits_the_newest_first(
    runs: list[workflow_pb2.RunRecord],
    asked: dict[str, Any],
    own: str,
    page_size: int,
    looked_at: int,
    read_bytes: int,
    page_bytes: int,
    chunk: int,
    ends: list[int],
) -> None:
    if own:
        asked = {**asked, "tenant": own} if "tenant" in asked else asked
    core = RunCore(*runs)
    reading = RunService(Runs(core.store), lambda: NOW)
    caller = Identity(tenant=own, agent="bot") if own else Identity(operator="asha")
    fitting = [run for run in reversed(runs) if wanted(run, asked, own)]
    # A run that ends or is deleted while somebody turns the pages may be missed, nothing else may.
    unsure = {id_of(number) for number in ends if number <= len(runs) and asked.get("states")}

    async def pages() -> list[str]:
        request, found = pb.ListRunsRequest(page_size=page_size, **asked), []
        for turn in range(10 * MOST):
            page = await reading.page(request, caller)
            assert len(page.runs) <= (page_size or 50)
            found += [run.name.removeprefix("runs/") for run in page.runs]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token
            # Newer than every page that is still to come.
            core.put(run_record(100 + turn, own or "acme"))
            if turn < len(ends) and ends[turn] <= len(runs):
                changed = core.stored(runs[ends[turn] - 1].tenant, id_of(ends[turn]))
                if changed is not None and changed.state in OPEN:
                    changed.state = run_pb2.RUN_STATE_SUCCEEDED
                    core.put(changed)
        raise AssertionError("the list does not end")

    with (
        mock.patch.object(service, "MAX_LOOKED_AT", looked_at),
        mock.patch.object(service, "MAX_READ_BYTES", read_bytes),
        mock.patch.object(service, "MAX_PAGE_BYTES", page_bytes),
        mock.patch.object(store, "_FIRST_CHUNK", chunk),
        mock.patch.object(store, "_LARGEST_CHUNK", chunk + 1),
    ):
        found = asyncio.run(pages())
    assert len(found) == len(set(found))
    certain = [run.run for run in fitting if run.run not in unsure]
    assert [run for run in found if run not in unsure] == certain
