import json

import pytest

from acr_sklearn.cli.declaration import CATEGORY, FORMAT, NUMBER, ZONED, Column, Declaration
from acr_sklearn.cli.terminal import CommandError

WHOLE = Declaration(
    (Column("x", NUMBER), Column("k", CATEGORY, ("a", "b=1"))),
    "site",
    "fault",
    ("time",),
    ("note",),
    "refuse",
    ("-999",),
    (0.1, 1.0, 0.0, 0.0),
    (("a.csv", 3),),
    "when",
    ZONED,
)


def test_a_declaration_comes_back_as_it_was():
    assert Declaration.from_text(WHOLE.to_text(), "m") == WHOLE
    assert WHOLE.features() == ["x", "k=a", "k=b=1", "k=other"]
    assert WHOLE.text_columns() == ("k", "time", "site", "fault")


def test_a_later_format_asks_for_an_update():
    later = json.dumps(json.loads(WHOLE.to_text()) | {"format": FORMAT + 1})
    with pytest.raises(CommandError, match=r"^m: .*format 3; this version reads .* 2\. Update"):
        Declaration.from_text(later, "m")


def test_a_declaration_from_before_there_were_times_is_read():
    """Format 1, as acr-sklearn 0.1.0 wrote it."""
    text = (
        '{"format":1,"columns":[{"name":"x","kind":"number","kept":[]}],"domain_column":"site",'
        '"known_column":null,"keys":["time"],"ignored":[],"missing":"fill","missing_values":[],'
        '"fallback":[0.5],"files":[["a.csv",3]]}'
    )
    expected = Declaration(
        (Column("x", NUMBER),), "site", keys=("time",), fallback=(0.5,), files=(("a.csv", 3),)
    )
    assert Declaration.from_text(text, "m") == expected
    with pytest.raises(CommandError, match="other entries than it has"):
        Declaration.from_text(text.replace('"format":1', '"format":2'), "m")


@pytest.mark.parametrize(
    "change",
    [
        {"columns": [{"name": 1, "kind": "number", "kept": []}]},
        {"columns": [{"name": "x", "kind": "date", "kept": []}]},
        {"columns": 5},
        {"fallback": [1.0]},
        {"fallback": ["nan", 1, 1, 1]},
        {"missing": "guess"},
        {"domain_column": 7},
        {"keys": [1]},
        {"files": [["a.csv"]]},
        {"more": 1},
        {"time_column": 3},
        {"time_column": None},
        {"time_kind": "weeks"},
        {"time_kind": None},
    ],
)
def test_what_was_not_written_by_fit_is_refused(change):
    with pytest.raises(CommandError, match=r"^m: what it says of its columns cannot be read"):
        Declaration.from_text(json.dumps(json.loads(WHOLE.to_text()) | change), "m")


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"format": 1}'])
def test_what_is_no_declaration_is_refused(text):
    with pytest.raises(CommandError, match="cannot be read"):
        Declaration.from_text(text, "m")
