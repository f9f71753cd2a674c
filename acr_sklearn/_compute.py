"""Where torch computes, and with whose random numbers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from typing import TypeVar

import torch

__all__ = ["in_order", "isolated_rng", "resolve_device", "rows_at_once", "threads_for"]

#: Work per step below which one thread is used. On two free cores a second thread made steps of
#: 0.5 to 1.7 GFLOP 1.3 to 1.6 times as fast; on two busy ones 8 times as slow, because threads
#: that wait for one another spin.
_SMALL_STEP = 2e9

# Fits in several threads would otherwise draw from one another's random numbers.
_RNG_LOCK = threading.RLock()

#: Rows per thread that a network sees at a time: what it makes of them stays in a core's cache.
_ROWS, _ROWS_ELSEWHERE = 1024, 65536


def resolve_device(device: str | torch.device) -> str:
    """Choose the device.

    Parameters
    ----------
    device : str or torch.device
        "auto" takes CUDA where there is one, else the CPU; or a CPU, CUDA, MPS or XPU device.

    Returns
    -------
    str
        A device that exists.

    Raises
    ------
    ValueError
        When the device is unknown or absent.
    """
    device = str(device)
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r} is no device that torch knows: {error}") from error
    counts: dict[str, Callable[[], int]] = {
        "cpu": lambda: 1,
        "cuda": torch.cuda.device_count,
        "mps": lambda: int(torch.backends.mps.is_available()),
        "xpu": torch.xpu.device_count,
    }
    if (wanted.index or 0) >= counts.get(wanted.type, int)():
        raise ValueError(
            f"device={device!r} was asked for, but this machine has no such device that torch can "
            "use. Use device='auto' or 'cpu'."
        )
    # There is one CPU, and a tensor on "cpu:0" is pickled under a name that torch cannot load.
    return "cpu" if wanted.type == "cpu" else device


@contextmanager
def isolated_rng(seed: int) -> Iterator[None]:
    """Run with torch seeded, and put the global generators back afterwards.

    Parameters
    ----------
    seed : int
        For torch's generators on every device in use.

    Yields
    ------
    None
        One thread at a time.
    """
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with _RNG_LOCK, torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seed)
        yield


@contextmanager
def threads_for(operations: float) -> Iterator[None]:
    """Use one torch thread while steps are small, and the number before afterwards.

    Parameters
    ----------
    operations : float
        Floating-point operations per step.

    Yields
    ------
    None
        With the number of threads set.
    """
    before = torch.get_num_threads()
    if operations < _SMALL_STEP:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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


def rows_at_once(device: torch.device) -> int:
    """Count the rows that a network should see at a time.

    Parameters
    ----------
    device : torch.device
        Where it computes.

    Returns
    -------
    int
        1024 for each thread that PyTorch splits an operation between: with half of them two threads
        took 1.4 times as long. 65,536 on a GPU.
    """
    return _ROWS * torch.get_num_threads() if device.type == "cpu" else _ROWS_ELSEWHERE
