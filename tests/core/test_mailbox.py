"""The mailbox between threads, and from a thread to an event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from micromimic.core.mailbox import Mailbox

HANG_S = 30.0


def test_an_event_loop_hears_every_thread_in_its_order() -> None:
    box = Mailbox[tuple[int, int]](10)

    def write(who: int) -> None:
        for number in range(500):
            assert box.put((who, number))

    async def read() -> list[tuple[int, int]]:
        threads = [threading.Thread(target=write, args=(who,)) for who in range(3)]
        for thread in threads:
            thread.start()
        got = [await box.receive() for _ in range(1500)]
        for thread in threads:
            thread.join()
        return got

    got = asyncio.run(asyncio.wait_for(read(), HANG_S))
    for who in range(3):
        assert [number for writer, number in got if writer == who] == list(range(500))


def test_an_end_wakes_an_event_loop_and_what_came_before_is_taken() -> None:
    box = Mailbox[str](10)

    async def read() -> None:
        waiting = asyncio.create_task(box.receive())
        await asyncio.sleep(0)
        ending = threading.Thread(target=lambda: (box.put("last"), box.end(OSError("gone"))))
        ending.start()
        assert await waiting == "last"
        ending.join()
        for _ in range(2):
            with pytest.raises(OSError, match="gone"):
                await box.receive()

    asyncio.run(asyncio.wait_for(read(), HANG_S))
    assert not box.put("too late") and not box.offer("too late")


def test_a_writer_minds_no_event_loop_that_has_ended() -> None:
    box = Mailbox[int](10)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await box.receive()

    asyncio.run(give_up())
    assert box.put(1)
    assert box.take(0.0) == 1


def test_closing_wakes_a_writer_that_waits_for_room() -> None:
    box = Mailbox[int](1)
    assert box.offer(0)
    refused: list[bool] = []
    thread = threading.Thread(target=lambda: refused.append(box.offer(1, wait=True)))
    thread.start()
    box.close()
    thread.join(HANG_S)
    assert refused == [False]
    with pytest.raises(EOFError):
        box.take(0.0)


def test_only_what_passes_is_dropped_for_newer_items() -> None:
    box = Mailbox[int](2, passes=lambda item: item < 10)
    assert [box.put(number) for number in (1, 20, 2, 21, 3, 22)] == 6 * [True]
    assert box.dropped[int] == 1 and len(box) == 5
    box.end()
    assert list(box) == [20, 2, 21, 3, 22]
