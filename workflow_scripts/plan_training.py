"""Plan which training utterance is used for which stage."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Splits, TaggerSettings
        from aligncap.training.plan import plan_training

        plan_training(
            Splits(**smk.params.splits),
            TaggerSettings(**smk.params.tagger),
            smk.params.seed,
            given.by("corpora", smk.input.audio),
            given.by("corpora", smk.input.references),
            Path(smk.output.plan),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
