"""The code of docs/fleets.md that needs no engine runs as it stands."""

import re
import warnings
from pathlib import Path

from acr_sklearn.exceptions import ACRWarning

PAGE = (Path(__file__).parents[1] / "docs" / "fleets.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)


def test_a_table_of_pandas_and_one_of_polars():
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ACRWarning)  # 20 steps on made rows
        exec(compile(BLOCKS[0], "fleets.md", "exec"), names)
        assert names["drawn"]["old 3"] == (200, 300)
        assert '(`drawn["old 3"]` is `(200, 300)`)' in PAGE
        assert 0 < len(names["alarms"]) < len(names["scored"]) == len(names["today"])
        by_pandas = sorted(names["scored"]["score"])
        exec(compile(BLOCKS[1], "fleets.md", "exec"), names)
    assert len(by_pandas) == names["scored"].height
    assert (
        max(abs(a - b) for a, b in zip(by_pandas, sorted(names["scored"]["score"]), strict=True))
        < 1e-9
    )


def test_every_door_has_its_row():
    import acr_sklearn.distributed as room

    doors = {name for name in room.__all__ if name.startswith("score_")}
    assert set(re.findall(r"^\| [^|]+ \| `(score_\w+)` \|", PAGE, re.M)) == doors
