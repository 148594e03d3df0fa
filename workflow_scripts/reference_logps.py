"""Compute log-probabilities of the preference pairs under the reference policy."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Compute
        from aligncap.preference.train import PairedInputs, write_reference_logps

        write_reference_logps(Compute(**smk.params.compute), given.inputs(PairedInputs), Path(smk.output.logps))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
