"""Read a corpus into tables of clips, labels and skipped rows."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk):
        from aligncap.config import Corpus
        from aligncap.corpora.prepare import prepare_corpus

        corpus = Corpus(**smk.params.corpus)
        outputs = (Path(smk.output.audio), Path(smk.output.labels), Path(smk.output.skipped))
        prepare_corpus(smk.wildcards.corpus, corpus, smk.params.seed, *outputs)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
