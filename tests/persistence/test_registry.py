import pytest
from torch import nn

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.persistence import registry
from acr_sklearn.persistence.registry import TORCH, WEIGHTED, class_named, name_of


@pytest.mark.parametrize("name", sorted(registry._PLACES))
def test_every_name_is_a_class_and_the_class_has_the_name(name):
    assert isinstance(class_named(name), type)
    assert name_of(class_named(name)) == name


@pytest.mark.parametrize("name", ["print", "os.system", "", "Module", None, 3, ["Linear"]])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="which no file of acr_sklearn may hold"):
        class_named(name)


def test_a_class_that_has_the_name_of_another_has_none():
    namesake = type("ZeroShotACRDetector", (ZeroShotACRDetector,), {})
    assert name_of(namesake) is None
    assert name_of(nn.BatchNorm1d) is None


def test_nothing_in_the_table_does_more_than_hold_numbers():
    places = {place.split(".")[0] for place in registry._PLACES.values()}
    assert places == {"acr_sklearn", "sklearn", "torch"}
    assert TORCH.keys() >= WEIGHTED
    assert set(TORCH) == {n for n, place in registry._PLACES.items() if place == "torch.nn"}
