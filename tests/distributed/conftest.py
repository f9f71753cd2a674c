"""A detector that knows its columns, and a fleet of skewed domains in no order."""

import numpy as np
import pandas as pd
import pytest

FEATURES = ["a", "b", "c", "d", "e"]
SIZES = {"pump 1": 2, "pump 2": 17, "pump 3": 400, "big": 3000, None: 40}


@pytest.fixture(scope="session")
def named(domains, quick):
    """Fitted on frames, so that it finds its features by name."""
    return quick().fit([pd.DataFrame(rows, columns=FEATURES) for rows in domains])


@pytest.fixture(scope="session")
def fleet(make_domain):
    """Domains from 2 to 3000 rows and one without a name, shuffled, columns in another order."""
    parts = [make_domain(70 + i, n_rows=n) for i, n in enumerate(SIZES.values())]
    frame = pd.DataFrame(np.concatenate(parts), columns=FEATURES)
    frame["site"] = np.repeat(np.array(list(SIZES), dtype=object), list(SIZES.values()))
    frame["id"] = np.arange(len(frame)) + 2**60
    order = np.random.default_rng(0).permutation(len(frame))
    return frame[["site", "e", "d", "id", "c", "b", "a"]].iloc[order].reset_index(drop=True)


@pytest.fixture(scope="session")
def expected(fleet, named):
    """What one call per domain gives each row, by id."""
    found = []
    for _, part in fleet.groupby("site", dropna=False):
        rows = part[FEATURES]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("acr_sklearn._input.batch_checks.gives_advice", lambda: False)
            patch.setattr("acr_sklearn.domains.domain_shift.gives_advice", lambda: False)
            columns = {
                "score": named.score_samples(rows),
                "label": named.predict(rows),
                "p_value": named.p_values(rows),
                "n_rows": len(rows),
            }
        found.append(pd.DataFrame({"id": part["id"], "site": part["site"]} | columns))
    return pd.concat(found).set_index("id").sort_index()


@pytest.fixture(scope="session")
def agree(expected):
    """Function (scored, wanted=expected): every row once, with the scores of one machine."""

    def check(scored, wanted=expected):
        assert list(scored.columns)[-4:] == ["score", "label", "p_value", "n_rows"]
        assert not scored["id"].duplicated().any()
        scored = scored.set_index("id").sort_index()
        assert scored.index.tolist() == wanted.index.tolist()
        np.testing.assert_allclose(scored["score"], wanted["score"], rtol=1e-7, atol=1e-9)
        np.testing.assert_array_equal(scored["label"], wanted["label"])
        np.testing.assert_allclose(scored["p_value"], wanted["p_value"])
        np.testing.assert_array_equal(scored["n_rows"], wanted["n_rows"])
        if "site" in scored:
            found, asked = scored["site"].isna(), wanted["site"].isna()
            np.testing.assert_array_equal(found, asked)
            assert scored.loc[~found, "site"].tolist() == wanted.loc[~asked, "site"].tolist()

    return check
