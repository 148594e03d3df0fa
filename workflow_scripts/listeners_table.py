"""Compare human descriptions of voices with the measured prosody."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Evaluation
        from aligncap.evaluation.tables.listeners import write_listeners_table

        write_listeners_table(
            Evaluation(**smk.params.evaluation),
            given.by("corpora", smk.input.references),
            given.by("corpora", smk.input.gold),
            given.by("corpora", smk.input.prosody),
            Path(smk.output.parquet),
            Path(smk.output.md),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
