from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from command_line import hours

from acr_sklearn.cli.tables import Reading, Table
from acr_sklearn.cli.terminal import CommandError, as_option
from acr_sklearn.cli.times import times_of
from acr_sklearn.datasets._csv_form import CsvForm


def table(when):
    frame = pd.DataFrame({"when": when})
    return Table("t", Path("t.parquet"), frame, Reading(CsvForm(None, option=as_option)))


def test_dates_with_a_zone_are_moments_and_drawn_in_the_zone_of_the_first():
    east = times_of(table(["2026-01-01T02:00+02:00", "2026-01-01T00:30Z"]), "when", "")
    assert east.kind == "dates with a time zone"
    assert (np.diff(east.values) / np.timedelta64(1, "m")).tolist() == [30.0]
    first, second = east.stamps(np.array([True, True]))
    assert (first.hour, second.hour, second.minute) == (2, 2, 30)
    assert {stamp.utcoffset() for stamp in (first, second)} == {timedelta(hours=2)}
    assert east.cells.tolist() == ["2026-01-01T02:00+02:00", "2026-01-01T00:30Z"]


def test_times_of_parquet_keep_the_zone_of_their_column():
    stamps = pd.to_datetime(hours(3)).tz_localize("Europe/Berlin")
    found = times_of(table(stamps), "when", "")
    assert str(found.zone) == str(ZoneInfo("Europe/Berlin"))
    assert found.stamps(np.array([False, True, False]))[0].hour == 1
    plain = times_of(table(pd.to_datetime(hours(3))), "when", "")
    assert (plain.kind, plain.zone) == ("dates without a time zone", None)
    assert plain.stamps(np.ones(3, bool)).tolist() == plain.values.tolist()


@pytest.mark.parametrize(
    ("when", "kind"),
    [
        ([3, 1, 2], "numbers"),
        (["3", "1.5"], "numbers"),
        (pd.to_timedelta(["1h", "2h"]), "numbers"),
        ([20260131, 20260201], "numbers"),
        (["2026-01-31", " 2026-02-01 "], "dates without a time zone"),
        (["2026-01-31 08:00:00.25", "2026-02"], "dates without a time zone"),
        (["2026-01-31T08-05", "2026-01-31 08:00Z"], "dates with a time zone"),
    ],
)
def test_kinds(when, kind):
    assert times_of(table(when), "when", "").kind == kind


@pytest.mark.parametrize(
    ("when", "message"),
    [
        (["2026-01-31", "now"], "row 2, column 'when': 'now' is no time. Expected numbers, or"),
        (["08:30", "09:30"], "row 1, column 'when': '08:30' is no time"),
        ([1.0, np.nan], "row 2, column 'when': the time is missing"),
        ([1.0, np.inf], "row 2, column 'when': 'inf' is no time"),
        ([1, 2, "2026-01-31"], "row 3, column 'when': '2026-01-31' is no time"),
        (
            ["2026-01-31T08:00", "2026-01-31T08:00Z"],
            "'2026-01-31T08:00Z' has a time zone, and the rows above it have none. Write all",
        ),
    ],
)
def test_what_is_no_time_is_named(when, message):
    with pytest.raises(CommandError) as refused:
        times_of(table(when), "when", "; help")
    assert message in str(refused.value)
    assert str(refused.value).endswith("; help")
