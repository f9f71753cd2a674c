"""Reference mode and p-values on unseen validation domains: are p-values valid, do anomalies hurt.

Per unseen domain with enough rows: 256 reference rows, 256 clean rows and, where rows are left, a
batch with 20 % natural anomalies. Run ``make bench-reference``, or see --help for the
options; it prints a table and writes reference.json and reference.png to benchmarks/results.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from _report import PACKAGES, RESULTS, describe_run, format_table, run_in_words, save_json
from quality.datasets import Unseen, available, splits
from sklearn.metrics import roc_auc_score

from acr_sklearn import ZeroShotACRDetector

LEVELS = (0.01, 0.05, 0.1)
#: How p-values are made: against other domains, in one batch with the reference, adapted to it.
WAYS = ("calibration", "one batch", "adapted")
SPOILT = 0.1
LEAST_MIXED = 40


def rows_of(domain: Unseen, n: int, rng: np.random.Generator) -> dict[str, Any] | None:
    """Draw reference, clean and mixed rows, no row twice; None where there are too few."""
    n_mixed = min(n - n // 5, len(domain.normals) - 2 * n)
    if n_mixed < 0:
        return None
    order = rng.permutation(len(domain.normals))
    normal = domain.normals[order]
    reference, clean, mixed = np.split(normal[: 2 * n + n_mixed], [n, 2 * n])
    drawn: dict[str, Any] = {"reference": reference, "clean": clean}
    n_spoilt, n_anomalies = round(SPOILT * n), n_mixed // 4
    if n_mixed >= LEAST_MIXED and len(domain.allowed) >= n_spoilt + n_anomalies:
        chosen = rng.choice(domain.allowed, n_spoilt + n_anomalies, replace=False)
        spoilt = reference.copy()
        spoilt[:n_spoilt] = domain.pool[chosen[:n_spoilt]]
        drawn["spoilt"] = spoilt
        drawn["mixed"] = np.concatenate([mixed, domain.pool[chosen[n_spoilt:]]])
        drawn["y"] = np.repeat([0, 1], [n_mixed, n_anomalies])
    return drawn


def measure_domain(detector: Any, drawn: dict[str, Any]) -> dict[str, Any]:
    """Share of small p-values of clean rows, AUROC and false alarms by kind of reference."""
    reference, clean = drawn["reference"], drawn["clean"]
    live = detector.adapt(reference)
    p = {
        "calibration": detector.p_values(clean),
        "one batch": detector.p_values(clean, reference),
        "adapted": live.p_values(clean),
    }
    out: dict[str, Any] = {way: [float(np.mean(p[way] <= a)) for a in LEVELS] for way in WAYS}
    if "mixed" not in drawn:
        return out
    scorers = {
        "batch": detector,
        "adapted": live,
        "adapted, 10 % anomalies": detector.adapt(drawn["spoilt"]),
    }
    for name, scorer in scorers.items():
        out[f"auroc, {name}"] = roc_auc_score(drawn["y"], -scorer.score_samples(drawn["mixed"]))
        out[f"alarms, {name}"] = float(np.mean(scorer.predict(clean) == -1))
    return out


def measure_set(name: str, seeds: list[int], n: int) -> dict[str, Any]:
    """Means over the unseen domains of all validation splits; a domain met twice counts once."""
    found: dict[str, list[dict[str, Any]]] = {}
    for split in splits(name, "validation"):
        for seed in seeds:
            rng = np.random.default_rng(seed)
            drawn = {d.name: rows_of(d, n, rng) for d in split.unseen}
            if not any(rows is not None for rows in drawn.values()):
                continue
            detector = ZeroShotACRDetector(contamination=0.05, random_state=seed)
            detector.fit(list(split.train))
            for domain, rows in drawn.items():
                if rows is not None:
                    found.setdefault(domain, []).append(measure_domain(detector, rows))
    if not found:
        return {"domains": 0}
    keys = dict.fromkeys(k for ones in found.values() for one in ones for k in one)
    means = {
        k: [np.mean([one[k] for one in ones], axis=0) for ones in found.values() if k in ones[0]]
        for k in keys
    }
    return {
        "domains": len(found),
        "mean": {k: np.mean(v, axis=0).round(5).tolist() for k, v in means.items()},
        "sd": {k: np.std(v, axis=0).round(5).tolist() for k, v in means.items()},
    }


def report(sets: dict[str, Any]) -> str:
    """Ratios of realised to nominal level, then what anomalies in the reference cost."""
    used = {name: one for name, one in sets.items() if one["domains"]}
    rows = [
        [
            f"{name}, {way}",
            str(one["domains"]),
            *(
                f"{p / a:.2f} ({s / a:.2f})"
                for p, s, a in zip(one["mean"][way], one["sd"][way], LEVELS, strict=True)
            ),
        ]
        for name, one in used.items()
        for way in WAYS
    ]
    header = ["P(p <= a) / a, mean (sd)", "domains", *(f"a = {a}" for a in LEVELS)]
    lines = [format_table(header, rows), ""]
    kinds = ("batch", "adapted", "adapted, 10 % anomalies")
    rows = [
        [
            f"{name}, {kind}",
            f"{one['mean'][f'auroc, {kind}']:.3f}",
            f"{one['mean'][f'alarms, {kind}']:.3f}",
        ]
        for name, one in used.items()
        for kind in kinds
    ]
    return "\n".join(
        [*lines, format_table(["scored", "AUROC", "alarms on clean rows at 0.05"], rows)]
    )


def draw(sets: dict[str, Any], path: Path) -> None:
    """Realised against nominal level, a panel per set."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    used = {name: one for name, one in sets.items() if one["domains"]}
    fig, axes = plt.subplots(
        1, len(used), figsize=(3.4 * len(used), 3.2), squeeze=False, layout="constrained"
    )
    colours = dict(zip(WAYS, ("#0072B2", "#E69F00", "#009E73"), strict=True))
    for ax, (name, one) in zip(axes[0], used.items(), strict=True):
        for i, way in enumerate(WAYS):
            x = np.array(LEVELS) * (0.94 + 0.06 * i)
            ax.errorbar(
                x,
                one["mean"][way],
                yerr=one["sd"][way],
                fmt="o",
                ms=4,
                color=colours[way],
                label=way,
            )
        ax.plot([0.005, 0.15], [0.005, 0.15], color="black", lw=0.8)
        ax.plot([0.005, 0.15], [0.006, 0.18], color="black", lw=0.8, ls=":")
        ax.set(
            xscale="log", yscale="log", ylim=(1e-3, 0.5), title=f"{name}, {one['domains']} domains"
        )
        ax.set_xlabel("level a")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_ylabel("share of clean rows with p ≤ a")
    axes[0][0].legend(frameon=False, fontsize=8)
    fig.savefig(path, dpi=130)
    plt.close(fig)


def main() -> None:
    """Run, print, save."""
    parser = argparse.ArgumentParser(description="Reference mode and p-values on unseen domains.")
    parser.add_argument("--sets", nargs="+", help="default: all that are here")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--rows", type=int, default=256, help="of the reference and of a batch")
    parser.add_argument("--save", type=Path, default=RESULTS, help="folder for the results")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    described = describe_run(args.seeds, PACKAGES)
    print(run_in_words(described), flush=True)
    sets = {
        name: measure_set(name, args.seeds, args.rows)
        for name in args.sets or available("validation")
    }
    print(report(sets))
    save_json(args.save / "reference.json", {"run": described, "rows": args.rows, "sets": sets})
    draw(sets, args.save / "reference.png")


if __name__ == "__main__":
    main()
