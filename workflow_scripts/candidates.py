"""Sample captions from the aligned captioner."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.preference.candidates import CandidateSettings, ParentInputs, sample_candidates

        out = Path(smk.output.candidates)
        sample_candidates(given.settings(CandidateSettings), given.inputs(ParentInputs), out, given.shard)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
