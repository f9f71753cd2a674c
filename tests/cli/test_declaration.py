import json

import pytest

from acr_sklearn.cli.declaration import CATEGORY, NUMBER, Column, Declaration
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
)


def test_a_declaration_comes_back_as_it_was():
    assert Declaration.from_text(WHOLE.to_text(), "m") == WHOLE
    assert WHOLE.features() == ["x", "k=a", "k=b=1", "k=other"]
    assert WHOLE.text_columns() == ("k", "time", "site", "fault")


def test_a_later_format_asks_for_an_update():
    later = json.dumps(json.loads(WHOLE.to_text()) | {"format": 2})
    with pytest.raises(CommandError, match=r"^m: .*format 2; this version reads .* 1\. Update"):
        Declaration.from_text(later, "m")


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
    ],
)
def test_what_was_not_written_by_fit_is_refused(change):
    with pytest.raises(CommandError, match=r"^m: what it says of its columns cannot be read"):
        Declaration.from_text(json.dumps(json.loads(WHOLE.to_text()) | change), "m")


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"format": 1}'])
def test_what_is_no_declaration_is_refused(text):
    with pytest.raises(CommandError, match="cannot be read"):
        Declaration.from_text(text, "m")
