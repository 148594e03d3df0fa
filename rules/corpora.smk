"""Corpora: clips and labels, captions, prosody, timbre, transcripts and speech features."""


rule prepare_corpus:
    input:
        table=lambda w: existing(settings.corpora[w.corpus].root),
    output:
        audio="<results>/corpora/{corpus}/audio.parquet",
        labels="<results>/corpora/{corpus}/labels.parquet",
        skipped="<results>/corpora/{corpus}/skipped.parquet",
    log:
        "<logs>/prepare_corpus/{corpus}.log",
    benchmark:
        "<benchmarks>/prepare_corpus/{corpus}.tsv"
    conda:
        "../envs/speech.yaml"
    resources:
        mem_mb=more(1500),
        runtime=more(120),
    params:
        corpus=lambda w: plain(
            settings.corpora[w.corpus], without={"licence": True, "captions": {"per_utterance", "seed"}}
        ),
        speech=plain(settings.speech),
        seed=settings.seed,
        code=digest("prepare_corpus"),
    script:
        "../workflow_scripts/prepare_corpus.py"


rule measure_prosody:
    input:
        audio="<results>/corpora/{corpus}/audio.parquet",
    output:
        prosody="<results>/corpora/{corpus}/prosody.parquet",
    log:
        "<logs>/measure_prosody/{corpus}.log",
    benchmark:
        "<benchmarks>/measure_prosody/{corpus}.tsv"
    conda:
        "../envs/speech.yaml"
    resources:
        mem_mb=more(1500),
        runtime=more(120),
    params:
        level_normalised=lambda w: traits_of(settings.corpora[w.corpus].adapter).level_normalised,
        code=digest("measure_prosody"),
    script:
        "../workflow_scripts/measure_prosody.py"


rule measure_timbre:
    input:
        audio="<results>/corpora/{corpus}/audio.parquet",
    output:
        timbre="<results>/corpora/{corpus}/timbre.parquet",
    log:
        "<logs>/measure_timbre/{corpus}.log",
    benchmark:
        "<benchmarks>/measure_timbre/{corpus}.tsv"
    conda:
        "../envs/speech.yaml"
    resources:
        mem_mb=more(1500),
        runtime=more(120),
    params:
        code=digest("measure_timbre"),
    script:
        "../workflow_scripts/measure_timbre.py"


rule write_references:
    input:
        audio="<results>/corpora/{corpus}/audio.parquet",
        labels="<results>/corpora/{corpus}/labels.parquet",
        prosody="<results>/corpora/{corpus}/prosody.parquet",
        bank=lambda w: existing(settings.corpora[w.corpus].captions.bank),
    output:
        references="<results>/corpora/{corpus}/references.parquet",
        skipped="<results>/corpora/{corpus}/skipped_captions.parquet",
    log:
        "<logs>/write_references/{corpus}.log",
    benchmark:
        "<benchmarks>/write_references/{corpus}.tsv"
    conda:
        "../envs/speech.yaml"
    resources:
        mem_mb=more(1500),
        runtime=more(30),
    params:
        corpus=lambda w: plain(settings.corpora[w.corpus], without={"licence"}),
        code=digest("write_references"),
    script:
        "../workflow_scripts/write_references.py"


rule transcripts:
    input:
        audio="<results>/corpora/{corpus}/audio.parquet",
        labels=lambda w: own_text(w.corpus),
        asr=model("asr"),
    output:
        transcripts=part_of("<results>/transcripts/{corpus}.parquet"),
    log:
        in_part("<logs>/transcripts/{corpus}.log"),
    benchmark:
        in_part("<benchmarks>/transcripts/{corpus}.tsv")
    conda:
        "../envs/speech.yaml"
    threads: THREADS
    resources:
        gpu=gpus(1),
        mem_mb=more(3000),
        runtime=more(240),
    params:
        transcripts=plain(settings.transcripts),
        compute=plain(settings.compute),
        role=lambda w: settings.corpora[w.corpus].role,
        code=digest("transcripts"),
    script:
        "../workflow_scripts/transcripts.py"


rule speech_features:
    input:
        audio="<results>/corpora/{corpus}/audio.parquet",
        encoder=model("speech_encoder"),
    output:
        features=part_of("<results>/features/{corpus}.parquet"),
    log:
        in_part("<logs>/speech_features/{corpus}.log"),
    benchmark:
        in_part("<benchmarks>/speech_features/{corpus}.tsv")
    conda:
        "../envs/speech.yaml"
    threads: THREADS
    resources:
        gpu=gpus(1),
        mem_mb=more(4000),
        runtime=more(240),
    params:
        features=plain(settings.features),
        compute=plain(settings.compute),
        code=digest("speech_features"),
    script:
        "../workflow_scripts/speech_features.py"
