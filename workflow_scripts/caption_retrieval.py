"""Caption a test corpus with captions of training utterances that sound alike."""

from pathlib import Path

from aligncap.job import by_name, job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.evaluation.retrieval import caption_retrieval

        caption_retrieval(
            Path(smk.input.plan),
            by_name(smk.params.corpora, smk.input.references),
            by_name(smk.params.corpora, smk.input.train_features),
            Path(smk.input.features),
            Path(smk.output.captions),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
