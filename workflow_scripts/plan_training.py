"""Draw which training utterance is used for what."""

from pathlib import Path

from aligncap.job import by_name, job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Splits, Tagger
        from aligncap.training.plan import plan_training

        audio = by_name(smk.params.corpora, smk.input.audio)
        references = by_name(smk.params.corpora, smk.input.references)
        settings = Splits(**smk.params.splits), Tagger(**smk.params.tagger)
        plan_training(*settings, smk.params.seed, audio, references, Path(smk.output.plan))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
