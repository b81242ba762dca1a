# Maps of the explained images, and scores of maps and of networks.
rule attribute:
    input:
        weights=lambda w: plan.weights("methods", w.method, w.dataset, w.seed),
        images="<results>/{dataset}/data/images.npy",
        index="<results>/{dataset}/data/explained.parquet",
        truth=lambda w: plan.truth_for(w.method, w.dataset),
        latents=lambda w: plan.latents_for(w.method, w.dataset, w.seed),
        code=lambda w: plan.code("attribute", "attribution", plan.kind("methods", w.method)),
    output:
        maps="<results>/{dataset}/maps/{method}/seed{seed}/maps.npy",
        samples="<results>/{dataset}/maps/{method}/seed{seed}/samples.parquet",
    log:
        "<logs>/{dataset}/maps/{method}/seed{seed}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/maps/{method}/seed{seed}.tsv"
    priority: 1
    conda:
        "../envs/cuda.yaml"
    threads: lambda w: plan.resource(w.dataset, "threads", 4)
    resources:
        gpu=lambda w: plan.resource(w.dataset, "gpu", 1),
        mem_mb=lambda w, attempt: plan.resource(w.dataset, "mem_mb", 8_000) * attempt,
        runtime=lambda w: plan.resource(w.dataset, "runtime", 720),
    params:
        options=lambda w: plan.options("methods", w.method),
        networks=lambda w: plan.given("methods", w.method, w.dataset, w.seed),
        explain=lambda w: plan.explained(w.method),
        truth=lambda w, input: f"--truth {input.truth}" if input.truth else "",
        latents=lambda w, input: f"--latents {input.latents}" if input.latents else "",
    shell:
        "python scripts/attribute.py {params.options} {params.networks} --seed {wildcards.seed} {params.explain} {params.truth} {params.latents}"
        " --images {input.images} --index {input.index} --maps {output.maps} --samples {output.samples} &> {log}"


rule evaluate_maps:
    input:
        weights=lambda w: plan.weights("metrics", w.metric, w.dataset, w.seed),
        maps="<results>/{dataset}/maps/{method}/seed{seed}/maps.npy",
        samples="<results>/{dataset}/maps/{method}/seed{seed}/samples.parquet",
        images="<results>/{dataset}/data/images.npy",
        truth="<results>/{dataset}/data/truth.npy",
        index="<results>/{dataset}/data/explained.parquet",
        code=lambda w: plan.code("evaluate", "metrics", plan.kind("metrics", w.metric)),
    output:
        scores="<results>/{dataset}/scores/{metric}/{method}/seed{seed}.parquet",
    log:
        "<logs>/{dataset}/scores/{metric}/{method}/seed{seed}.log",
    conda:
        "../envs/cuda.yaml"
    resources:
        gpu=lambda w: plan.resource(w.dataset, "gpu", 1) * plan.on_gpu(w.metric),
        mem_mb=lambda w, attempt: plan.resource(w.dataset, "mem_mb", 4_000 + 4_000 * plan.on_gpu(w.metric)) * attempt,
        runtime=lambda w: plan.resource(w.dataset, "runtime", 720),
    params:
        options=lambda w: plan.options("metrics", w.metric),
        networks=lambda w: plan.given("metrics", w.metric, w.dataset, w.seed),
    shell:
        "python scripts/evaluate.py {params.options} {params.networks} --maps {input.maps} --truth {input.truth}"
        " --images {input.images} --index {input.index} --scores {output.scores} &> {log}"


rule evaluate_networks:
    input:
        weights=lambda w: plan.weights("metrics", w.metric, w.dataset, w.seed),
        images="<results>/{dataset}/data/images.npy",
        index="<results>/{dataset}/data/index.parquet",
        code=lambda w: plan.code("evaluate", "metrics", plan.kind("metrics", w.metric)),
    output:
        scores="<results>/{dataset}/scores/{metric}/seed{seed}.parquet",
    log:
        "<logs>/{dataset}/scores/{metric}/seed{seed}.log",
    conda:
        "../envs/cuda.yaml"
    resources:
        gpu=lambda w: plan.resource(w.dataset, "gpu", 1) * plan.on_gpu(w.metric),
        mem_mb=lambda w, attempt: plan.resource(w.dataset, "mem_mb", 4_000 + 4_000 * plan.on_gpu(w.metric)) * attempt,
        runtime=lambda w: plan.resource(w.dataset, "runtime", 720),
    params:
        options=lambda w: plan.options("metrics", w.metric),
        networks=lambda w: plan.given("metrics", w.metric, w.dataset, w.seed),
    shell:
        "python scripts/evaluate.py {params.options} {params.networks}"
        " --images {input.images} --index {input.index} --scores {output.scores} &> {log}"
