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


def test_publishing_to_a_closed_loop_is_harmless() -> None:
    loop = asyncio.new_event_loop()
    feed = CommitFeed(loop)
    feed._waiting = 1
    loop.close()
    feed.publish(1)
    assert feed.sequence == 1
