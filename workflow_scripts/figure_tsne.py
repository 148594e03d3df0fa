"""Draw figure 3."""

from pathlib import Path

from aligncap.job import by_name, job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Evaluation, Figures
        from aligncap.evaluation.figures.tsne import TsneFiles, draw_tsne

        draw_tsne(
            Figures(**smk.params.figures),
            Evaluation(**smk.params.evaluation),
            by_name(smk.params.systems, smk.input.vectors),
            TsneFiles(*map(Path, smk.output)),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
