"""Caption a test corpus with captions of training utterances that sound alike."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.evaluation.retrieval import caption_retrieval

        caption_retrieval(
            Path(smk.input.plan),
            given.by("corpora", smk.input.references),
            given.by("corpora", smk.input.train_features),
            Path(smk.input.features),
            Path(smk.output.captions),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
