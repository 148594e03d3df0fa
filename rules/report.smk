"""Report and provenance."""


rule snapshot:
    output:
        snapshot="<results>/run.json",
    log:
        "<logs>/snapshot/run.log",
    benchmark:
        "<benchmarks>/snapshot/run.tsv"
    priority: 100
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=500,
        runtime=5,
    params:
        config={name: value for name, value in plain(settings).items() if name != "tracking"},
        code=digest("snapshot"),
    script:
        "../workflow_scripts/snapshot.py"


# Inputs of the report that are one file a corpus, system or table, and whose.
NAMED = {
    **{
        name: (TEST, of_test(f"<results>/{path}.parquet"))
        for name, path in {
            "references": "corpora/{corpus}/references",
            "transcripts": "transcripts/{corpus}",
            "predicted": "clues/{corpus}/predicted",
            "audio": "corpora/{corpus}/audio",
        }.items()
    },
    "training": (list(training_logs()), list(training_logs().values())),
    "pairs": (list(PAIRS), [f"<results>/preference_pairs/{name}.parquet" for name in PAIRS]),
    "tables": (TABLES, [f"<results>/tables/{table}.parquet" for table in TABLES]),
    "tests": (TABLES, [f"<results>/tables/{table}_tests.parquet" for table in TABLES]),
    "figures": (FIGURES, [f"<results>/figures/{figure}.svg" for figure in FIGURES]),
}


rule report:
    input:
        **{name: files for name, (_, files) in NAMED.items()},
        table="<results>/tables/zero_shot.parquet",
        snapshot="<results>/run.json",
        evaluations=list(evaluations().values()),
        out_of_fold="<results>/tagger/out_of_fold.parquet",
        claims=["<results>/tables/claims.parquet"] if CLAIMS else [],
        reliance="<results>/tables/tag_reliance.parquet",
    output:
        html=report("<results>/report.html", caption="../report/report.rst", category="Report"),
    log:
        "<logs>/report/report.log",
    benchmark:
        "<benchmarks>/report/report.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        rows=[list(row) for row in evaluations()],
        names={name: names for name, (names, _) in NAMED.items()},
        facts={
            "stages": {system: stage for system, stage in STAGES.items() if system == plain_name(system)},
            "licences": {c: settings.corpora[c].licence for c in TEST if settings.corpora[c].licence},
            "synthetic": [corpus for corpus in TEST if traits_of(settings.corpora[corpus].adapter).synthetic],
        },
        report=plain(settings.report),
        code=digest("report"),
    script:
        "../workflow_scripts/report.py"
