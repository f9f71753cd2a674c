import contextlib
import re
import sys
import warnings

import pytest
from command_line import run

from acr_sklearn import exceptions
from acr_sklearn._input.batch_checks import SMALL_BATCH, SMALL_DOMAIN
from acr_sklearn.cli.main import make_parser
from acr_sklearn.cli.terminal import (
    _SENTENCES,
    Bar,
    CommandError,
    Terminal,
    as_option,
    need_packages,
    printable,
)
from acr_sklearn.detectors._reference import _SMALL_REFERENCE
from acr_sklearn.detectors.parts import FEWEST_TO_HOLD_OUT
from acr_sklearn.exceptions import (
    ACRWarning,
    EarlyStoppingWarning,
    IgnoredDomainsWarning,
    MissingDomainWarning,
    PooledDomainsWarning,
    SmallBatchWarning,
    SmallDomainWarning,
    SmallReferenceWarning,
)


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
            warnings.warn("few rows", UserWarning, stacklevel=1)
        warnings.warn("old call", DeprecationWarning, stacklevel=1)
    assert capsys.readouterr().err == "acr-sklearn: warning: few rows\n"


def test_a_kind_of_the_package_is_given_once_in_a_sentence_of_the_command(capsys):
    with Terminal().warnings_as_notes():
        for who in ("score_samples", "predict"):
            message = f"Detector.{who} got few rows"
            warning = SmallBatchWarning(message)
            warning.domains = tuple(f"m{i}" for i in range(7))
            warnings.warn(warning, stacklevel=1)
    [line] = capsys.readouterr().err.splitlines()
    assert "fewer than 16 rows in 7 domains (m0, m1, m2, m3, m4 and 2 more)." in line


#: Of calls that the command does not make.
NEVER = {IgnoredDomainsWarning, MissingDomainWarning, PooledDomainsWarning}


def test_every_warning_that_the_command_can_give_has_a_sentence():
    kinds = {getattr(exceptions, name) for name in exceptions.__all__} - {ACRWarning}
    assert set(_SENTENCES) == kinds - NEVER


@pytest.mark.parametrize("kind", _SENTENCES, ids=lambda kind: kind.__name__)
def test_sentences_speak_to_somebody_at_a_shell(kind):
    sentence = _SENTENCES[kind].format(domains="2 domains (a, b)")
    words = r"\b\w+=|\w\(|\bX\b|X_ref|\b(fit|adapt|score|predict)\b|[A-Z][a-z]+[A-Z]"
    assert re.findall(words, re.sub(r"--[a-z-]+", "", sentence)) == []
    parser = make_parser().format_help() + "".join(run(c, "-h").out for c in ("fit", "score"))
    assert all(option in parser for option in re.findall(r"--[a-z-]+", sentence))


def test_the_figures_of_sentences_are_those_of_the_package():
    for kind, figure in (
        (SmallBatchWarning, SMALL_BATCH),
        (SmallDomainWarning, SMALL_DOMAIN),
        (EarlyStoppingWarning, FEWEST_TO_HOLD_OUT),
        (SmallReferenceWarning, _SMALL_REFERENCE),
    ):
        assert f"fewer than {figure} " in _SENTENCES[kind]
