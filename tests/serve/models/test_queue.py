"""What waits: nothing lost, nothing twice, the oldest first, bounded in tokens and time."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.serve.models.workers.queue import Job, Queue, QueueFull

lengths = st.lists(st.integers(1, 600), min_size=1, max_size=60)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def in_loop(test):
    async def run():
        return test()

    return asyncio.run(run())


@given(
    lengths=lengths,
    budget=st.integers(1, 700),
    gone=st.sets(st.integers(0, 59)),
    workers=st.integers(1, 5),
)
def test_every_job_is_taken_once_the_oldest_first_and_within_the_budget(
    lengths, budget, gone, workers
):
    async def test():
        queue = Queue(10**9, 1e9, budget)
        jobs = [Job(length) for length in lengths]
        queue.put(jobs)
        for index in gone & set(range(len(jobs))):
            jobs[index].done.cancel()
        alive = [job for job in jobs if not job.done.done()]
        taken = []
        while len(taken) < len(alive):
            oldest = next(job for job in alive if job not in taken)
            queue.check()
            batch = await queue.take(workers)
            assert oldest in batch
            assert len(batch) == 1 or len(batch) * max(job.tokens for job in batch) <= budget
            taken += batch
        assert sorted(taken, key=jobs.index) == alive
        queue.check()
        assert (len(queue), queue.tokens, queue.age, queue.wait) == (0, 0, 0.0, 0.0)

    asyncio.run(test())


@given(lengths=lengths, most=st.integers(1, 2000))
def test_no_more_tokens_wait_than_allowed_but_one_list_always_may(lengths, most):
    def test():
        queue = Queue(most, 1e9, 512)
        waiting = []
        for length in lengths:
            try:
                queue.put([Job(length)])
                waiting.append(length)
            except QueueFull:
                assert waiting and sum(waiting) + length > most
        assert queue.tokens == sum(waiting)
        assert len(waiting) == 1 or sum(waiting) <= most

    in_loop(test)


def test_a_list_waits_whole_or_not_at_all():
    def test():
        queue = Queue(100, 1e9, 512)
        queue.put([Job(60)])
        with pytest.raises(QueueFull):
            queue.put([Job(20), Job(30)])
        assert (len(queue), queue.tokens) == (1, 60)

    in_loop(test)


def test_the_wait_is_told_by_the_speed_and_bounds_what_comes():
    def test():
        clock = Clock()
        queue = Queue(10**9, 2.0, 512, clock)
        queue.put([Job(10_000)])
        queue.put([Job(10_000)])  # nothing is known yet
        queue.computed([Job(30)], 10.0, workers=2)  # small, as when nobody asks
        assert queue.wait == 0
        queue.computed([Job(1000)], 0.1, workers=2)
        assert queue.wait == pytest.approx(1.0)
        queue.put([Job(25_000)])
        with pytest.raises(QueueFull) as full:
            queue.put([Job(1)])
        assert full.value.retry_after == pytest.approx(2.25)

    in_loop(test)


def test_what_has_waited_too_long_shows_that_nobody_takes():
    def test():
        clock = Clock()
        queue = Queue(10**9, 2.0, 512, clock)
        queue.put([Job(1)])
        clock.now = 1.9
        queue.put([Job(1)])
        clock.now = 3.9
        queue.put([Job(1)])
        clock.now = 4.1  # twice as long as what comes may have to wait
        assert queue.age == pytest.approx(4.1)
        with pytest.raises(QueueFull) as full:
            queue.put([Job(1)])
        assert full.value.retry_after == pytest.approx(2.05)

    in_loop(test)


def test_a_queue_that_was_filled_at_once_lets_in_as_much_as_is_computed():
    async def test():
        clock = Clock()
        queue = Queue(10**9, 2.0, 100, clock)
        queue.computed([Job(100)], 0.1, workers=1)  # 1,000 tokens a second
        queue.put([Job(10) for _ in range(200)])
        for _ in range(60):
            batch = await queue.take(1)
            seconds = len(batch) / 100
            clock.now += seconds
            queue.computed(batch, seconds, workers=1)
            with pytest.raises(QueueFull):
                while True:
                    queue.put([Job(10)])
            assert 195 <= len(queue) <= 205  # also while the first 200 wait

    asyncio.run(test())


@pytest.mark.parametrize(
    ("waiting", "workers", "taken"),
    [(20, 1, 10), (20, 2, 10), (12, 2, 6), (12, 3, 4), (4, 3, 4), (6, 1, 6), (1, 5, 1)],
)
def test_a_batch_leaves_the_other_workers_their_share(waiting, workers, taken):
    async def test():
        queue = Queue(10**9, 1e9, 100)
        queue.put([Job(10) for _ in range(waiting)])
        assert len(await queue.take(workers)) == taken

    asyncio.run(test())


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_where_much_waits_batches_are_as_full_for_many_workers(workers):
    async def test():
        queue = Queue(10**9, 1e9, 512)
        queue.put([Job(10) for _ in range(1000)])
        assert len(await queue.take(workers)) == 26  # of the 128 that a batch is chosen of

    asyncio.run(test())


def test_what_goes_alone_is_taken_alone():
    async def test():
        queue = Queue(10**9, 1e9, 512)
        jobs = [Job(5), Job(100, message={"explain": "a"}), Job(6)]
        queue.put(jobs)
        assert await queue.take(1) == [jobs[0], jobs[2]]
        assert await queue.take(1) == [jobs[1]]

    asyncio.run(test())


def test_takers_wait_for_what_comes():
    async def run():
        queue = Queue(10**9, 1e9, 20)
        takers = [asyncio.create_task(queue.take()) for _ in range(3)]
        await asyncio.sleep(0)
        jobs = [Job(20) for _ in range(3)]
        queue.put(jobs)
        batches = await asyncio.gather(*takers)
        assert sorted(jobs.index(batch[0]) for batch in batches) == [0, 1, 2]

    asyncio.run(run())


def test_a_failing_queue_answers_everything():
    async def run():
        queue = Queue(10**9, 1e9, 20)
        jobs = [Job(20) for _ in range(3)]
        queue.put(jobs)
        jobs[1].done.cancel()
        queue.fail(ValueError("x"))
        assert isinstance(jobs[0].done.exception(), ValueError) and isinstance(
            jobs[2].done.exception(), ValueError
        )
        assert (len(queue), queue.tokens) == (0, 0)

    asyncio.run(run())
