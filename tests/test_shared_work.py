import threading
import time

import pytest
import torch

from acr_sklearn._compute import in_order

CPU = torch.device("cpu")


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_results_come_in_order_from_several_threads():
    seen = set()
    both = threading.Barrier(3, timeout=30)

    def work(item):
        if item < 3:
            both.wait()  # passes only if three calls are in progress at a time
        seen.add((threading.get_ident(), torch.get_num_threads()))
        time.sleep(0.002 * (item % 3))
        return item, torch.is_grad_enabled()

    assert list(in_order(work, range(30), CPU)) == [(i, False) for i in range(30)]
    assert len(seen) == 3
    assert {threads for _, threads in seen} == {1}
    assert torch.get_num_threads() == 3
    assert torch.is_grad_enabled()


@pytest.mark.usefixtures("three_threads")
def test_no_more_is_read_than_is_worked_on():
    read = []
    results = in_order(lambda i: i, (read.append(i) or i for i in range(1000)), CPU)
    assert next(results) == 0
    assert len(read) < 10
    results.close()
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_an_error_ends_the_work():
    def work(item):
        if item == 5:
            raise ValueError("item 5")
        return item

    with pytest.raises(ValueError, match="item 5"):
        list(in_order(work, range(50), CPU))
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize(("n_items", "device"), [(0, CPU), (1, CPU), (9, torch.device("meta"))])
def test_little_work_and_other_devices_stay_in_the_calling_thread(n_items, device):
    found = list(in_order(lambda i: (i, threading.get_ident()), range(n_items), device))
    assert found == [(i, threading.get_ident()) for i in range(n_items)]
