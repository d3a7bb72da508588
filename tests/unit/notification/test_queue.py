"""Who is next, and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.notification.queue import Queue, Waiting

NOW, LONGEST = 1_000_000, 10_000


def queue(*due: int) -> Queue:
    made = Queue(LONGEST)
    for sequence, at in enumerate(due, 1):
        made.put(sequence, Waiting(0, at, NOW - sequence))
    return made


def test_the_oldest_that_is_due_comes_first() -> None:
    made = queue(NOW + 5, 0, NOW)
    assert made.next(NOW) == 2
    made.remove(2)
    assert made.next(NOW) == 3
    assert made.next(NOW + 5) == 1
    for sequence in (1, 3):
        made.remove(sequence)
    assert made.next(NOW + 5) is None and made.wait(NOW) is None and len(made) == 0


def test_it_stays_until_it_is_removed_or_put_off() -> None:
    made = queue(0, 0)
    assert made.next(NOW) == made.next(NOW) == 1
    made.put(1, Waiting(1, NOW + 100, NOW))
    assert made.next(NOW) == 2 and made.attempts(1) == 1
    made.remove(2)
    assert made.next(NOW) is None and made.wait(NOW) == 100
    assert made.next(NOW + 100) == 1


def test_while_the_receiver_rests_nothing_is_next_and_then_the_oldest() -> None:
    made = queue(0, 0)
    assert made.next(NOW) == 1
    made.put(1, Waiting(1, NOW + 50, NOW))
    made.rest(NOW + 50, 1)
    assert made.next(NOW + 49) is None and made.wait(NOW) == 50
    assert made.next(NOW + 50) == 1
    made.rest(0, 0)
    assert made.next(NOW) == 2 and made.wait(NOW) == 0


def test_what_is_ready_and_only_rests_is_not_later_than_the_rest() -> None:
    made = queue(0, NOW + 5_000)
    assert made.next(NOW) == 1
    made.rest(NOW + 20, 1)
    assert made.wait(NOW) == 20


def test_a_clock_that_was_set_back_makes_nobody_wait() -> None:
    made = queue(NOW + LONGEST + 1)
    made.rest(NOW + LONGEST + 1, 3)
    assert made.next(NOW) == 1 and made.wait(NOW) == 0
    assert queue(NOW + LONGEST).next(NOW) is None


def test_what_is_hurried_is_due_in_the_old_order() -> None:
    made = queue(NOW + 50, NOW + 20, 0)
    made.rest(NOW + 50, 2)
    made.hurry()
    assert made.next(NOW) == 1 and made.failures == 0
    made.remove(1)
    assert made.next(NOW) == 2


def test_the_age_of_the_oldest() -> None:
    assert queue(0, 0, 0).oldest_created() == NOW - 3 and queue().oldest_created() == 0


_OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 6), st.integers(0, 40)),
        st.tuples(st.just("remove"), st.integers(1, 6), st.just(0)),
        st.tuples(st.just("rest"), st.just(0), st.integers(0, 40)),
        st.tuples(st.just("look"), st.just(0), st.integers(0, 10)),
    ),
    max_size=60,
)


@given(_OPERATIONS)
def test_it_does_what_a_sorted_list_would(operations: list[tuple[str, int, int]]) -> None:
    made, waiting, rest, now = Queue(LONGEST), dict[int, int](), 0, 0
    for operation, sequence, number in operations:
        match operation:
            case "put":
                waiting[sequence] = now + number
                made.put(sequence, Waiting(0, now + number, now))
            case "remove":
                waiting.pop(sequence, None)
                made.remove(sequence)
            case "rest":
                rest = now + number
                made.rest(rest, 0)
            case _:
                now += number
        due = sorted(one for one, at in waiting.items() if max(at, rest) <= now)
        assert made.next(now) == (due[0] if due else None)
        expected = min((max(at, rest) - now for at in waiting.values()), default=None)
        assert made.wait(now) == (None if expected is None else max(expected, 0))
        assert len(made) == len(waiting)
