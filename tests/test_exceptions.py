"""The warning classes: one base, one meaning each, all in sight."""

import warnings

import pytest

from acr_sklearn import exceptions

NAMES = [name for name in exceptions.__all__ if name != "ACRWarning"]


def test_every_class_is_listed():
    defined = {k for k, v in vars(exceptions).items() if isinstance(v, type)}
    assert defined == set(exceptions.__all__)
    assert exceptions.__all__ == sorted(exceptions.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_one_filter_reaches_them_all(name):
    kind = getattr(exceptions, name)
    assert issubclass(kind, exceptions.ACRWarning)
    assert issubclass(kind, UserWarning)
    assert kind.__doc__.partition("\n\n")[0].endswith(".")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", exceptions.ACRWarning)
        warnings.warn("unheard", kind, stacklevel=1)
