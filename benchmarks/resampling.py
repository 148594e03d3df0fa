"""Bootstrap intervals of many systems and metrics, against a loop over systems, metrics and resamples.

Both use the same resamples: the loop takes the mean of the drawn utterances with numpy, one resample after another, of
as many metrics of one system as `--looped` says, and its time is scaled to all. What it prepares once for all metrics
is in neither time. Intervals must agree to 1e-12.

    python benchmarks/resampling.py
"""

from typing import Any

import numpy as np
from clips import parser_of_turns, speed_lines, take_turns
from numpy.typing import NDArray

from aligncap.evaluation.bootstrap import figure, resample_weights, weighted_mean
from aligncap.evaluation.wording import markdown_table

Interval = tuple[float, float]


def looped(drawn: list[NDArray[np.intp]], columns: NDArray[np.float64]) -> list[Interval]:
    """Return the interval of each column by a loop over the resamples, each given as the drawn utterances."""
    found = []
    for column in columns:
        means = [float(np.nanmean(column[rows])) for rows in drawn]
        low, high = np.nanpercentile(means, [2.5, 97.5])
        found.append((float(low), float(high)))
    return found


def at_once(weights: NDArray[np.float64], columns: NDArray[np.float64]) -> list[Interval]:
    """Return the interval of each column as the scoring does."""
    own = [figure(float(np.nanmean(column)), weighted_mean(weights, column), len(column)) for column in columns]
    return [(one["ci_low"], one["ci_high"]) for one in own]


def main() -> None:
    """Read the options, time both in turn, and print a table."""
    parser = parser_of_turns(__doc__)
    parser.add_argument("--utterances", type=int, default=449)
    parser.add_argument("--systems", type=int, default=15)
    parser.add_argument("--metrics", type=int, default=12)
    parser.add_argument("--resamples", type=int, default=4000)
    parser.add_argument("--looped", type=int, default=12)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 7, options.utterances).tolist()
    clusters = generator.integers(0, 60, options.utterances).tolist()
    columns = generator.random((options.systems * options.metrics, options.utterances))
    columns[generator.random(columns.shape) < 0.1] = np.nan  # what cannot be checked has no figure
    weights = resample_weights(clusters, labels, options.resamples, 0)
    part = columns[: options.looped]
    drawn = [np.repeat(np.arange(weights.shape[1]), row.astype(int)) for row in weights]
    ways: dict[str, Any] = {"a loop": lambda: looped(drawn, part), "ours": lambda: at_once(weights, columns)}
    spent, found = take_turns(ways, options.rounds)
    apart = np.abs(np.subtract(found["a loop"], found["ours"][: len(part)])).max()
    assert apart < 1e-12, f"intervals differ by {apart}"
    spent["a loop"] = [seconds * len(columns) / len(part) for seconds in spent["a loop"]]
    title = f"{options.systems} systems, {options.metrics} metrics, {options.resamples} resamples"
    print("\n".join(markdown_table("lrr", [title, "s", "times as fast"], speed_lines(spent))))
    print(f"Intervals differ by {apart:.1e} at most; the loop was timed on {len(part)} of {len(columns)} columns.")


if __name__ == "__main__":
    main()
