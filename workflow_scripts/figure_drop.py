"""Draw figure 1."""

from itertools import product
from pathlib import Path

from aligncap.job import by_name, job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Evaluation
        from aligncap.evaluation.figures.drop import FigureFiles, draw_drop

        params, files = smk.params, smk.input
        draw_drop(
            Evaluation(**params.evaluation),
            params.systems,
            by_name(list(product(params.systems, params.train)), files.in_domain),
            by_name(list(product(params.systems, params.test)), files.tested),
            by_name(params.test, files.references),
            FigureFiles(*map(Path, smk.output)),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
