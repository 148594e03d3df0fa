"""Give every clip its reference captions."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk):
        from aligncap.config import Corpus
        from aligncap.corpora.captions import write_references

        inputs = (Path(smk.input.audio), Path(smk.input.labels), Path(smk.input.prosody))
        outputs = (Path(smk.output.references), Path(smk.output.skipped))
        write_references(Corpus(**smk.params.corpus), *inputs, *outputs, "write_references")


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
