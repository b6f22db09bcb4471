"""Nobody who asks much keeps the others waiting: turns, the thread that reads texts, and the queue of a model."""

import asyncio
import threading
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnet.serve.models.fair import KEPT, Client, Turns
from linnet.serve.models.tokenizer_thread import TokenizerThread
from linnet.serve.models.workers.queue import Job, Queue, QueueFull


def in_loop(test):
    async def run():
        return test()

    return asyncio.run(run())


@given(st.lists(st.floats(1, 100), min_size=2, max_size=6))
def test_shares_that_always_wait_have_as_much_each_whatever_their_work_costs(costs):
    turns, had = Turns(), Counter()
    for _ in range(1000):
        share = turns.next([str(index) for index in range(len(costs))])
        turns.charge(share, costs[int(share)])
        had[share] += costs[int(share)]
    assert max(had.values()) - min(had.get(str(i), 0) for i in range(len(costs))) <= 2 * max(costs)


def test_who_comes_has_the_next_turn_and_nothing_saved_up():
    turns = Turns()
    for _ in range(100):
        turns.charge(turns.next(["busy"]), 10)
    turns.charge(turns.next(["busy", "late"]), 10)
    served = []
    for _ in range(10):
        served.append(turns.next(["busy", "late"]))
        turns.charge(served[-1], 10)
    assert sorted(Counter(served).values()) == [5, 5]


def test_leaving_for_a_moment_does_not_pay():
    turns = Turns()
    turns.charge(turns.next(["greedy", "other"]), 1000)
    for _ in range(99):  # "greedy" comes back each time
        assert turns.next(["greedy", "other"]) == "other"
        turns.charge("other", 10)


def test_what_is_remembered_is_bounded():
    turns = Turns()
    for number in range(3 * KEPT):
        turns.charge(turns.next([str(number)]), 1)
        turns.charge(turns.next(["always"]), 1)
    assert turns.remembered <= KEPT + 1


def jobs_of(share, *tokens):
    return [Job(count, Client(share)) for count in tokens]


def test_the_reader_s_thread_gives_each_share_its_turn():
    """A flood of 200 long works, then one short one of another share: it is the second to be done."""
    begun, go_on = threading.Event(), threading.Event()
    done = []

    def read(work):
        begun.set()
        go_on.wait(60)
        done.append(work)
        return work

    async def run():
        reader = TokenizerThread(read)
        flood = [reader(f"flood {number}", "a", 1000.0) for number in range(200)]
        assert await asyncio.to_thread(begun.wait, 60)
        one = reader("short", "b")
        assert reader.age("b") < 60 and reader.age("nobody") == 0
        go_on.set()
        assert await one == "short"
        assert await asyncio.gather(*flood) == [f"flood {number}" for number in range(200)]
        assert reader.age("a") == reader.age("b") == 0
        reader.close()

    asyncio.run(run())
    assert done.index("short") == 1


async def served_in(queue, batches, refill):
    """Tokens that each share got in so many batches, while what was taken comes again."""
    had = Counter()
    for _ in range(batches):
        batch = await queue.take(1)
        for job in batch:
            had[job.client.share] += job.tokens
        refill(batch)
    return had


@settings(deadline=None, max_examples=50)  # many batches each
@given(
    flood=st.lists(st.integers(1, 512), min_size=50, max_size=200),
    victim=st.lists(st.integers(1, 512), min_size=10, max_size=60),
)
def test_a_share_that_always_waits_gets_its_half_of_the_tokens(flood, victim):
    """Work of the others may ride along, so the half is not met exactly when lengths differ."""

    async def test():
        queue = Queue(10**9, 1e9, 512)
        queue.put(jobs_of("flood", *flood))
        queue.put(jobs_of("victim", *victim))
        if sum(victim) < 2048:
            return

        def refill(batch):
            for job in batch:
                queue.put(jobs_of(job.client.share, job.tokens))

        had = await served_in(queue, 200, refill)
        assert had["victim"] >= 0.8 * had["flood"] - 1024

    asyncio.run(test())


def test_one_text_among_a_flood_is_in_the_next_batch():
    async def test():
        queue = Queue(10**6, 1e9, 512)
        queue.put(jobs_of("flood", *[20] * 2000))
        for _ in range(30):
            await queue.take(1)
            queue.put(jobs_of("flood", *[20] * 25))
            (mine,) = jobs_of("victim", 20)
            queue.put([mine])
            await queue.take(1)
            assert mine.taken

    asyncio.run(test())


def test_a_share_that_filled_the_queue_leaves_room_for_others():
    def test():
        queue = Queue(1000, 1e9, 512)
        queue.put(jobs_of("flood", *[10] * 100))
        with pytest.raises(QueueFull):
            queue.put(jobs_of("flood", 10))
        queue.check(1, "victim")
        queue.put(jobs_of("victim", *[10] * 20))
        queue.put(jobs_of("victim", 10))
        with pytest.raises(QueueFull):  # more than a share has where two wait
            queue.put(jobs_of("victim", *[10] * 10))
        queue.put(jobs_of("third", *[10] * 79))
        for share in ("flood", "victim", "third", "fourth"):
            with pytest.raises(QueueFull):
                queue.check(1, share)
        assert queue.tokens == 2000

    in_loop(test)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.lists(st.integers(1, 60), min_size=1, max_size=8)),
        max_size=60,
    )
)
def test_no_more_waits_than_twice_of_one_share_and_nothing_is_lost(puts):
    async def test():
        queue, waiting = Queue(100, 1e9, 64), []
        for share, tokens in puts:
            jobs = jobs_of(share, *tokens)
            empty = len(queue) == 0
            try:
                queue.put(jobs)
            except QueueFull:
                assert not empty
                continue
            waiting += jobs
            assert empty or queue.tokens <= 200
            assert queue.tokens == sum(job.tokens for job in waiting)
            if len(waiting) % 3 == 0:
                waiting[0].done.cancel()
                waiting = waiting[1:]
                batch = await queue.take(1) if waiting else []
                waiting = [job for job in waiting if job not in batch]
        while waiting:
            batch = await queue.take(2)
            assert batch and set(batch) <= set(waiting)
            waiting = [job for job in waiting if job not in batch]
        queue.check()
        assert (len(queue), queue.tokens, queue.age, queue.tokens_by_share) == (0, 0, 0.0, {})

    asyncio.run(test())


def test_the_wait_of_a_share_is_not_that_of_the_flood():
    def test():
        clock = [0.0]
        queue = Queue(10**9, 2.0, 100, lambda: clock[0])
        queue.computed([Job(1000)], 1.0, workers=1)  # 1,000 tokens a second
        queue.put(jobs_of("flood", *[10] * 200))
        with pytest.raises(QueueFull):
            queue.put(jobs_of("flood", *[10] * 2))
            queue.put(jobs_of("flood", 10))
        clock[0] = 10.0  # and the flood's oldest is old
        with pytest.raises(QueueFull):
            queue.check(1, "flood")
        queue.check(1, "victim")

    in_loop(test)


def test_what_is_begun_is_counted_for_its_client():
    async def test():
        queue, client = Queue(10**9, 1e9, 40), Client("a")
        jobs = [Job(10, client) for _ in range(5)]
        queue.put(jobs)
        jobs[0].done.cancel()
        assert client.begun == 0
        assert len(await queue.take()) == 4 == client.begun
        for job in jobs:
            job.done.cancel()
        queue.put([Job(5, client, 20, message={"explain": "a"})])
        await queue.take()
        assert client.begun == 24

    asyncio.run(test())
