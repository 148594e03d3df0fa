"""Caption a test corpus with a system that needs no LLM."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.evaluation.baselines import caption_baseline

        caption_baseline(
            smk.params.stage,
            Path(smk.input.plan),
            given.by("corpora", smk.input.references),
            Path(smk.input.predicted),
            Path(smk.input.encoder),
            Path(smk.output.captions),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
