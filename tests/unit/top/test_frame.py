"""What `fairlead top` shows follows from two looks at the metrics page, and from nothing else."""

from __future__ import annotations

import pytest

from fairlead.top import drawing, metrics
from fairlead.top.frame import Frame, Look, frame

PAGE = """\
# HELP fairlead_decisions_total Admissions.
# TYPE fairlead_decisions_total counter
fairlead_decisions_total{outcome="admitted",reason=""} 100
fairlead_decisions_total{outcome="rejected",reason="BUDGET_EXHAUSTED"} 5
fairlead_refusals_total{reason="BUDGET_EXHAUSTED"} 5
fairlead_refusals_total{reason="CREDENTIAL_INVALID"} 0
fairlead_attempts_total{model="large",outcome="succeeded"} 90
fairlead_attempts_total{model="large",outcome="timed_out"} 4
fairlead_attempts_total{model="large",outcome="cancelled"} 2
fairlead_attempts_total{model="small",outcome="succeeded"} 10
fairlead_breaker_state{model="large",state="closed"} 0
fairlead_breaker_state{model="large",state="half_open"} 1
fairlead_breaker_state{model="small",state="closed"} 1
fairlead_model_latency_seconds{model="large",quantile="0.5"} 0.25
fairlead_model_latency_seconds{model="large",quantile="0.99"} 12.5
fairlead_model_latency_seconds{model="small",quantile="0.5"} NaN
fairlead_model_latency_seconds{model="small",quantile="0.99"} 0
fairlead_budget_limit{budget="run",tenant="acme",unit="tokens"} 1000
fairlead_budget_spent{budget="run",tenant="acme",unit="tokens"} 700
fairlead_budget_reserved{budget="run",tenant="acme",unit="tokens"} 50
fairlead_budget_fullest_ratio{budget="run",tenant="acme"} 0.75
fairlead_budget_instances{budget="run",tenant="acme"} 3
fairlead_budget_limit{budget="month",tenant="acme",unit="usd"} 500
fairlead_budget_spent{budget="month",tenant="acme",unit="usd"} 455.5
fairlead_budget_fullest_ratio{budget="month",tenant="acme"} 0.911
fairlead_budget_instances{budget="month",tenant="acme"} 1
fairlead_queue_depth{queue="commit"} 7
fairlead_queue_depth{queue="rate_limits"} 2
fairlead_calls_in_flight 4
fairlead_healthy 1
fairlead_store_available 1
fairlead_response_cache_hits_total 6
fairlead_open_approvals 3
fairlead_config_info{version="0123456789abcdef"} 1
process_resident_memory_bytes 1.048576e+08
"""


def look(text: str = PAGE, seconds: float = 10.0) -> Look:
    return Look(seconds, metrics.read(text))


def test_a_page_is_read_with_its_escapes_and_what_is_no_sample_is_left_out() -> None:
    page = metrics.read('a{x="b\\"c\\\\\\n",y=""} 1 1700000000\na{x="d"} nonsense\n???\nb 2\n# c 3\n')
    assert page.samples == {"a": [({"x": 'b"c\\\n', "y": ""}, 1.0)], "b": [({}, 2.0)]}


def test_one_look_shows_everything_but_rates() -> None:
    shown = frame(look())
    assert (shown.healthy, shown.store_available, shown.admitted, shown.config) == (True, True, 100, "0123456789abcdef")
    assert (shown.in_flight, shown.waiting, shown.open_approvals) == (4, 2, 3)
    assert (shown.calls_per_second, shown.cache, shown.memory_bytes) == (None, {"hits_total": 6.0}, 100 << 20)
    assert [(one.reason, one.total, one.per_second) for one in shown.refusals] == [("BUDGET_EXHAUSTED", 5, None)]
    large, small = shown.models
    assert (large.calls, large.errors, large.p50, large.p99, large.breaker) == (96, 4, 0.25, 12.5, "half_open")
    assert (small.calls, small.errors, small.p50, small.p99, small.breaker) == (10, 0, None, None, "closed")
    month, run = shown.budgets
    assert (month.name, month.unit, month.spent, month.held, month.limit) == ("month", "usd", 455.5, 0, 500)
    assert (run.name, run.fullest, run.held, run.instances, run.unit) == ("run", 0.75, 50, 3, "tokens")


def test_two_looks_show_rates() -> None:
    later = PAGE.replace('reason=""} 100', 'reason=""} 120').replace(
        'outcome="succeeded"} 90', 'outcome="succeeded"} 98'
    )
    later = later.replace('refusals_total{reason="BUDGET_EXHAUSTED"} 5', 'refusals_total{reason="BUDGET_EXHAUSTED"} 6')
    shown = frame(look(later, 14.0), look())
    assert shown.calls_per_second == 5.0
    assert [model.per_second for model in shown.models] == [2.0, 0.0]
    assert [one.per_second for one in shown.refusals] == [0.25]


def test_counters_of_another_run_make_no_rates() -> None:
    restarted = PAGE.replace('reason=""} 100', 'reason=""} 1')
    assert frame(look(restarted, 14.0), look()).calls_per_second is None
    assert frame(look(PAGE, 10.0), look()).calls_per_second is None


def test_a_page_of_something_else_is_nothing_and_no_failure() -> None:
    shown = frame(look("<html>"))
    assert (shown.healthy, shown.models, shown.budgets) == (False, [], [])
    assert drawing.lines(shown)[0].startswith("fairlead: NOT HEALTHY, STORE TAKES NO WRITES   configuration -")


def test_a_frame_is_drawn_in_columns() -> None:
    drawn = drawing.lines(frame(look(seconds=12.0), look()))
    assert drawn == [
        "fairlead: healthy   configuration 0123456789ab   memory 100 MiB",
        "calls 0.0/s   in flight 4   waiting for rate limits 2   admitted 100   open approvals 3",
        "refused: BUDGET_EXHAUSTED 5 (0.0/s)",
        "cache: hits_total 6",
        "",
        "MODEL  CALLS  CALLS/S  ERRORS     P50     P99  BREAKER",
        "large     96      0.0       4  250 ms  12.5 s  half open",
        "small     10      0.0       0       -       -  closed",
        "",
        "BUDGET  TENANT  FULLEST       SPENT       HELD         LIMIT  INSTANCES",
        "month   acme     91.1 %   455.5 USD      0 USD       500 USD          1",
        "run     acme     75.0 %  700 tokens  50 tokens  1,000 tokens          3",
    ]


@pytest.mark.parametrize("columns", [0, 1, 5, 200])
@pytest.mark.parametrize("rows", [0, 1, 3, 200])
def test_a_screen_of_any_size_gets_what_fits(columns: int, rows: int) -> None:
    drawn = drawing.lines(frame(look()))
    shown = drawing.fitted(drawn, columns, rows)
    assert len(shown) <= rows and all(len(line) <= max(columns, 1) for line in shown)
    if rows == 3 and columns == 200:
        assert shown[-1] == f"… {len(drawn) - 2} more lines: enlarge the window"


def test_names_of_models_cannot_move_the_cursor() -> None:
    shown: Frame = frame(look('fairlead_attempts_total{model="\x1b[2Jx",outcome="succeeded"} 1\n'))
    assert "\x1b" not in "\n".join(drawing.lines(shown))


def test_a_sidecar_that_has_runs_says_so_in_a_line() -> None:
    counted = "fairlead_open_runs 7\nfairlead_ready_steps 2\nfairlead_leased_steps 3\n"
    shown = frame(look(PAGE + counted))
    assert shown.as_json()["runs"] == {"open": 7, "ready_steps": 2, "leased_steps": 3}
    assert "open runs 7   steps ready 2   leased 3" in drawing.lines(shown)
    assert frame(look()).runs is None
