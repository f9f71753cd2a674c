"""Where torch computes, and with whose random numbers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

__all__ = ["isolated_rng", "resolve_device", "threads_for"]

#: Work per step below which one thread is used. On two free cores a second thread made steps of
#: 0.5 to 1.7 GFLOP 1.3 to 1.6 times as fast; on two busy ones 8 times as slow, because threads
#: that wait for one another spin.
_SMALL_STEP = 2e9

# Fits in several threads would otherwise draw from one another's random numbers.
_RNG_LOCK = threading.RLock()


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
    return device


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
