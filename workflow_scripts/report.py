"""Write the report."""

from pathlib import Path

from aligncap.job import by_name, start


def main(smk):
    """Run with what the rule declares."""
    start(smk.log[0])
    from aligncap.config import Report
    from aligncap.evaluation.report import ReportInputs, write_report

    params, files, out = smk.params, smk.input, Path(smk.output.html)
    per_corpus = (by_name(params.corpora, table) for table in (files.references, files.transcripts, files.predicted))
    inputs = ReportInputs(
        *(Path(files.table), Path(files.snapshot)),
        by_name([tuple(row) for row in params.rows], files.evaluations),
        *per_corpus,
        training=by_name(params.training, files.training),
        out_of_fold=Path(files.out_of_fold),
        pairs=by_name(params.pairs, files.pairs),
        benchmarks=sorted((out.parent / "benchmarks").rglob("*.tsv")),
        synthetic=params.synthetic,
    )
    write_report(Report(**params.report), inputs, out)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
