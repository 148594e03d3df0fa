"""Caption a test corpus with a system that needs no LLM."""

from pathlib import Path

from aligncap.job import by_name, job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.evaluation.baselines import caption_baseline

        caption_baseline(
            smk.params.stage,
            smk.params.seed,
            Path(smk.input.plan),
            by_name(smk.params.corpora, smk.input.references),
            Path(smk.input.predicted),
            Path(smk.input.encoder),
            Path(smk.output.captions),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
