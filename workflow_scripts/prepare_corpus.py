"""Read a corpus into tables of clips, labels and skipped rows."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk):
        from aligncap.config import Corpus, SpeechSettings
        from aligncap.corpora.prepare import prepare_corpus

        corpus, speech = Corpus(**smk.params.corpus), SpeechSettings(**smk.params.speech)
        outputs = (Path(smk.output.audio), Path(smk.output.labels), Path(smk.output.skipped))
        prepare_corpus(smk.wildcards.corpus, corpus, speech, smk.params.seed, *outputs)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
