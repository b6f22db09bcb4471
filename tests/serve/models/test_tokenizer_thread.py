"""Reading in a thread: each gets its own, whatever goes wrong with others, and how far behind it is can be told."""

import asyncio
import time

from linnet.serve.models.tokenizer_thread import TokenizerThread


class Panic(BaseException):
    """As the tokenizers' library raises."""


def read(work):
    if isinstance(work, type):
        raise work("no")
    time.sleep(work)
    return work


def test_what_fails_leaves_the_others_theirs():
    async def run():
        reader = TokenizerThread(read)
        asked = [reader(work) for work in (0, ValueError, Panic, 0.001)]
        first, second, third, last = await asyncio.gather(*asked, return_exceptions=True)
        assert (first, last) == (0, 0.001)
        assert (
            isinstance(second, ValueError)
            and isinstance(third, RuntimeError)
            and "Panic" in str(third)
        )
        reader.close()

    asyncio.run(run())


def test_the_age_is_that_of_the_oldest():
    async def run():
        reader = TokenizerThread(read)
        assert reader.age() == 0
        asked = [reader(0.2), reader(0.0)]
        await asyncio.sleep(0.1)
        assert 0.1 <= reader.age() < 60
        await asyncio.gather(*asked)
        assert reader.age() == 0
        reader.close()

    asyncio.run(run())
