"""Transcribe a corpus, or take its published transcripts."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.speech.asr import TranscriptInputs, TranscriptSettings, write_transcripts

        out = Path(smk.output.transcripts)
        write_transcripts(given.settings(TranscriptSettings), given.inputs(TranscriptInputs), out, given.shard)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
