"""Let the judge score the candidates."""

from pathlib import Path

from aligncap.job import by_name, job, only


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Compute, Judge
        from aligncap.preference.judges import score_candidates

        files = smk.input
        tables = (by_name(smk.params.corpora, table) for table in (files.references, files.gold, files.transcripts))
        score_candidates(
            Judge(**smk.params.judge),
            Compute(**smk.params.compute),
            Path(smk.input.candidates),
            *tables,
            only(smk.input.model),
            Path(smk.output.scores),
            by_name(smk.params.corpora, files.prosody),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
