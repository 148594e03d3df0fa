"""Train the clue tagger, and predict the training clips out of fold."""

from pathlib import Path

from aligncap.job import by_name, job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.clues.tagger import train_tagger
        from aligncap.config import Tagger

        files = smk.input
        tables = (by_name(smk.params.corpora, table) for table in (files.features, files.references, files.prosody))
        outputs = Path(smk.output.weights), Path(smk.output.predictions)
        train_tagger(Tagger(**smk.params.tagger), smk.params.seed, Path(smk.input.plan), *tables, *outputs)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
