"""Build (better, worse) preference pairs from scored candidates."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.preference.pairs import PairInputs, PairSettings, build_pairs

        build_pairs(given.settings(PairSettings), given.inputs(PairInputs), Path(smk.output.pairs))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
