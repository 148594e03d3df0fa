"""Download of the model weights."""


rule fetch_model:
    # All of them first, so that a run which lacks one, be it a judge's, ends before it trains.
    output:
        manifest="models/{model}/manifest.json",
    log:
        "<logs>/fetch_model/{model}.log",
    benchmark:
        "<benchmarks>/fetch_model/{model}.tsv"
    priority: 100
    conda:
        "../envs/speech.yaml"
    resources:
        mem_mb=more(6000),
        runtime=more(60),
    params:
        source=lambda w: plain(MODELS[w.model]),
        code=digest("fetch_model"),
    script:
        "../workflow_scripts/fetch_model.py"
