"""Let a judge score what every system said about one test corpus."""

from pathlib import Path

from aligncap.job import by_name, job, only


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Compute, Judge
        from aligncap.preference.judges import score_captions_of

        files = smk.input
        score_captions_of(
            Judge(**smk.params.judge),
            Compute(**smk.params.compute),
            smk.wildcards.corpus,
            by_name(smk.params.systems, files.captions),
            *map(Path, (files.references, files.gold, files.transcripts, files.prosody)),
            only(files.model),
            by_name(smk.params.systems, smk.output.judged),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
