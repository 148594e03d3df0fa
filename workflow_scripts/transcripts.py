"""Transcribe a corpus, or take its own text."""

from pathlib import Path

from aligncap.job import job, only


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Compute, Transcripts
        from aligncap.speech.asr import write_transcripts

        write_transcripts(
            Transcripts(**smk.params.transcripts),
            Compute(**smk.params.compute),
            smk.params.role,
            Path(smk.input.audio),
            only(smk.input.labels),
            only(smk.input.asr),
            Path(smk.output.transcripts),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
