"""Pieces of work shared out to threads, each computing on one core."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

import torch

__all__ = ["in_order"]

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Items per thread that are read before the result of the first is asked for.
_AHEAD = 2


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], device: torch.device
) -> Iterator[Result]:
    """Apply a function to every item, in threads, and yield what it returns in the items' order.

    An operation split between cores waits for the slower of them, thousands of times a second; on
    a busy machine that is most of the time. A piece of work per core waits once.

    Parameters
    ----------
    function : callable
        Without side effects. It runs without gradient, several calls at a time.
    items : iterable
        Read in the calling thread, little more than is being worked on. Each should be
        milliseconds of work: threads take turns in Python.
    device : torch.device
        Where the function computes: only on a CPU there is anything to share out.

    Yields
    ------
    object
        Of each item, in order, whatever the number of threads.
    """
    n_threads = torch.get_num_threads() if device.type == "cpu" else 1
    items = iter(items)
    first = list(islice(items, 2))
    if n_threads == 1 or len(first) < 2:
        for item in chain(first, items):
            yield _without_gradient(function, item)
        return
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        for item in chain(first, items):
            waiting.append(pool.submit(_without_gradient, function, item))
            if len(waiting) > _AHEAD * n_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        # What the threads set for themselves is what torch gives threads to come.
        torch.set_num_threads(n_threads)


def _without_gradient(function: Callable[[Item], Result], item: Item) -> Result:
    with torch.no_grad():  # a setting of each thread
        return function(item)
