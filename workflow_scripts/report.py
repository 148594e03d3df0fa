"""Write the report."""

from pathlib import Path

from aligncap.job import by_name, job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Report
        from aligncap.evaluation.report import ReportInputs, write_report

        params, files, out = smk.params, smk.input, Path(smk.output.html)
        inputs = ReportInputs(
            *map(Path, (files.table, files.snapshot)),
            by_name([tuple(row) for row in params.rows], files.evaluations),
            *(by_name(params.corpora, own) for own in (files.references, files.transcripts, files.predicted)),
            by_name(params.training, files.training),
            *(Path(files.out_of_fold), by_name(params.pairs, files.pairs)),
            sorted((out.parent / "benchmarks").rglob("*.tsv")),
            params.synthetic,
            *map(by_name, (params.tables, params.tables, params.figures), (files.tables, files.tests, files.figures)),
            *map(Path, files.claims),
        )
        write_report(Report(**params.report), inputs, out)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
