# One rule for every network of every paper. The networks a model needs are trained first, by this same rule.
rule train:
    input:
        weights=lambda w: plan.weights("models", w.model, w.dataset, w.seed),
        images="<results>/{dataset}/data/images.npy",
        truth="<results>/{dataset}/data/truth.npy",
        index="<results>/{dataset}/data/index.parquet",
        info="<results>/{dataset}/data/info.json",
        code=lambda w: plan.code("train", "models", plan.kind("models", w.model)),
    output:
        weights="<results>/{dataset}/models/{model}/seed{seed}/weights.safetensors",
        history="<results>/{dataset}/models/{model}/seed{seed}/history.parquet",
    log:
        "<logs>/{dataset}/models/{model}/seed{seed}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/models/{model}/seed{seed}.tsv"
    priority: 2  # what others wait for goes first
    conda:
        "../envs/cuda.yaml"
    threads: lambda w: plan.resource(w.dataset, "threads", 4)
    resources:
        gpu=lambda w: plan.resource(w.dataset, "gpu", 1),
        mem_mb=lambda w, attempt: plan.resource(w.dataset, "mem_mb", 8_000) * attempt,
        runtime=lambda w: plan.resource(w.dataset, "runtime", 720),
    params:
        options=lambda w: plan.options("models", w.model, dataset=w.dataset),
        networks=lambda w: plan.given("models", w.model, w.dataset, w.seed),
    shell:
        "python scripts/train.py {params.options} {params.networks} --seed {wildcards.seed}"
        " --images {input.images} --truth {input.truth} --index {input.index} --info {input.info}"
        " --weights {output.weights} --history {output.history} &> {log}"
