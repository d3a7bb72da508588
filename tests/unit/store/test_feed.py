"""Waiting for commits from the event loop."""

import asyncio
import threading

from fairlead.store import CommitFeed


def test_a_waiter_wakes_when_a_later_record_is_committed() -> None:
    async def main() -> int:
        feed = CommitFeed(asyncio.get_running_loop())
        feed.publish(3)
        assert await feed.wait_after(2) == 3
        waiting = asyncio.create_task(feed.wait_after(3))
        await asyncio.sleep(0)
        threading.Thread(target=feed.publish, args=(4,)).start()
        return await asyncio.wait_for(waiting, 10)

    assert asyncio.run(main()) == 4


def test_a_wait_can_time_out_unchanged() -> None:
    async def main() -> int:
        feed = CommitFeed(asyncio.get_running_loop())
        feed.publish(3)
        return await feed.wait_after(3, timeout=0.01)

    assert asyncio.run(main()) == 3


def test_no_wake_up_is_lost_between_many_waiters_and_a_busy_writer() -> None:
    last = 5000

    async def follow(feed: CommitFeed) -> list[int]:
        seen = [0]
        while seen[-1] < last:
            seen.append(await asyncio.wait_for(feed.wait_after(seen[-1]), 10))
        return seen

    async def main() -> None:
        feed = CommitFeed(asyncio.get_running_loop())
        followers = [asyncio.create_task(follow(feed)) for _ in range(8)]
        writer = threading.Thread(target=lambda: [feed.publish(n) for n in range(1, last + 1)])
        writer.start()
        for seen in await asyncio.gather(*followers):
            assert seen == sorted(set(seen))
        writer.join()

    asyncio.run(main())


def test_the_loop_is_left_alone_until_the_record_that_somebody_waits_for() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        feed = CommitFeed(loop)
        wakes = 0
        wake = feed._wake

        def counted() -> None:
            nonlocal wakes
            wakes += 1
            wake()

        feed._wake = counted  # type: ignore[method-assign]
        far, near = (asyncio.create_task(feed.wait_after(sequence)) for sequence in (63, 9))
        await asyncio.sleep(0)
        for sequence in range(1, 10):
            feed.publish(sequence)
            await asyncio.sleep(0)
        assert wakes == 0
        feed.publish(10)
        assert await near == 10 and wakes == 1 and not far.done()
        feed.publish(63)
        await asyncio.sleep(0)
        assert wakes == 1
        feed.publish(64)
        assert await far == 64 and wakes == 2
        cancelled = asyncio.create_task(feed.wait_after(64))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        feed.publish(65)
        await asyncio.sleep(0)
        assert wakes == 2, "who went away is waited for by nobody"

    asyncio.run(main())


def test_publishing_to_a_closed_loop_is_harmless() -> None:
    loop = asyncio.new_event_loop()
    feed = CommitFeed(loop)
    feed._least = 0
    loop.close()
    feed.publish(1)
    assert feed.sequence == 1
