"""Let the judge score the candidates."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Compute, Judge
        from aligncap.preference.judges import CandidateScoringInputs, score_candidates

        judge, compute, out = Judge(**smk.params.judge), Compute(**smk.params.compute), Path(smk.output.scores)
        score_candidates(judge, compute, given.inputs(CandidateScoringInputs), out, given.shard)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
