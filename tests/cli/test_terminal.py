import contextlib
import sys
import warnings

import pytest

from acr_sklearn.cli.terminal import (
    Bar,
    CommandError,
    Terminal,
    as_option,
    need_packages,
    printable,
)
from acr_sklearn.exceptions import SmallBatchWarning


def test_control_characters_do_not_reach_the_terminal(capsys):
    assert printable("ä\x1b[31m\r\udcff") == "ä\\x1b[31m\\r\\udcff"
    Terminal().say("a\x07")
    Terminal().note("b\x1bc", "error")
    out, err = capsys.readouterr()
    assert (out, err) == ("a\\x07\n", "acr-sklearn: error: b\\x1bc\n")


def test_options_can_be_pasted_into_a_shell():
    assert as_option("sep", ";") == "--delimiter ';'"
    assert as_option("ignore", "my col") == "--ignore 'my col'"
    assert as_option("missing-value", "-999") == "--missing-value=-999"


@pytest.mark.parametrize("package", ["pandas", "pyarrow", "rich"])
def test_a_missing_package_is_named_with_the_extra(monkeypatch, package):
    monkeypatch.setattr(
        "acr_sklearn.cli.terminal.find_spec", lambda name: None if name == package else 1
    )
    with pytest.raises(CommandError, match=rf"needs {package}, not .*'acr-sklearn\[cli\]'"):
        need_packages()


def test_bars_are_shown_on_a_terminal_only_and_go_when_the_work_fails(monkeypatch):
    opened = []

    class Spy(Bar):
        def __init__(self, *args, **given):
            super().__init__(*args, **given)
            self.n, self.is_open = 0, True
            opened.append(self)

        def update(self, n):
            super().update(n)
            self.n += n

        def close(self):
            super().close()
            self.is_open = False

    monkeypatch.setattr("acr_sklearn.cli.terminal.Bar", Spy)
    terminal = Terminal()
    assert list(terminal.track("abc", 3, "read")) == list("abc")
    assert opened == []
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(terminal.track("abc", 3, "read")) == list("abc")
    with contextlib.suppress(KeyError), terminal.bars() as open_bar:
        open_bar(total=5, desc="train", unit="step").set_postfix({"loss": "1"})
        raise KeyError
    assert [bar.n for bar in opened] == [3, 0]
    assert not any(bar.is_open for bar in opened)


def test_a_warning_is_a_note_once_and_those_of_libraries_are_none(capsys):
    with Terminal().warnings_as_notes():
        for _ in range(2):
            warnings.warn("few rows", SmallBatchWarning, stacklevel=1)
        warnings.warn("old call", DeprecationWarning, stacklevel=1)
    assert capsys.readouterr().err == "acr-sklearn: warning: few rows\n"
