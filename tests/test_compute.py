import pickle
import threading

import pytest
import torch

from acr_sklearn._compute import isolated_rng, resolve_device, threads_for


def test_auto_is_a_device_that_exists():
    assert resolve_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")


def test_unknown_and_absent_devices_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="device='abacus' is no device that torch knows"):
        resolve_device("abacus")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match=r"device='cuda:0' was asked for.*Use device='auto'"):
        resolve_device("cuda:0")
    for device in ("meta", "xpu:7", "cpu:1"):
        with pytest.raises(ValueError, match=f"device='{device}' was asked for, but this machine"):
            resolve_device(device)
    assert resolve_device(torch.device("cpu")) == "cpu"


def test_isolation_seeds_and_restores():
    before = torch.get_rng_state()
    with isolated_rng(3):
        first = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    with isolated_rng(3):
        assert torch.equal(torch.rand(4), first)


def test_threads_do_not_draw_from_one_anothers_numbers():
    before = torch.get_rng_state()
    with isolated_rng(5):
        expected = torch.rand(300)
    results = {}

    def draw(name):
        with isolated_rng(5):
            results[name] = torch.cat([torch.rand(1) for _ in range(300)])

    threads = [threading.Thread(target=draw, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(result, expected) for result in results.values())
    assert torch.equal(torch.get_rng_state(), before)


def test_small_steps_use_one_thread_and_the_number_before_comes_back():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with threads_for(1e6):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
        with threads_for(1e12):
            assert torch.get_num_threads() == 3
        with pytest.raises(RuntimeError), threads_for(1e6):
            raise RuntimeError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_the_one_cpu_has_one_name(domains, quick):
    # Tensors on "cpu:0" are pickled under a location that torch does not load.
    assert resolve_device("cpu:0") == "cpu"
    fitted = quick(device="cpu:0").fit(domains)
    copied = pickle.loads(pickle.dumps(fitted))
    assert next(copied.module_.parameters()).device == torch.device("cpu")
    assert (copied.score_samples(domains[0]) == fitted.score_samples(domains[0])).all()
