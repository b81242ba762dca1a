"""Train one model on one dataset, going on where an interrupted run stopped."""

from pathlib import Path

import torch

from evidence import cli, io, machine, resuming, sources, training, weights
from evidence.provenance import commit, facts
from evidence.seeds import stream


def main(argv: list[str] | None = None) -> None:
    call = cli.parse(
        argv,
        "models",
        description=__doc__,
        flags={
            "--seed": {"type": int, "default": 0, "help": "of the first weights, the order of images, and all noise"},
            "--images": "images.npy of the packed dataset",
            "--index": "index.parquet of the packed dataset",
            "--truth": {"help": "truth.npy, for curves that are looked at; no training uses it"},
            "--info": {"help": "info.json of the packed dataset: its range of intensities goes with the weights"},
            "--weights": "where the trained networks go (safetensors)",
            "--history": "where the history goes (parquet): step, name, value",
        },
    )
    args = call.files
    images, index = io.load_array(args.images), io.load_table(args.index)
    train = training.samples_of("train", images, index)
    truth = io.load_truth(args.truth) if args.truth else None
    validation = training.samples_of("validation", images, index, truth)
    intensities = io.load_range(args.info) if args.info else ""
    networks = weights.load_all(call.networks, {str(args.info): intensities})
    recipe = resuming.recipe(
        *sources.of_module("models", call.name),
        networks=call.networks,
        model=call.name,
        options=call.options,
        seed=args.seed,
        data=resuming.fingerprint(images, index),
    )
    output = Path(args.weights)
    with resuming.only_one(output.parent) as waited:
        if waited and output.exists() and facts(output).get("recipe") == recipe:
            print(f"{output} was made, by the same recipe, by the process that held the folder")
            return
        machine.prepare()
        torch.manual_seed(stream(args.seed, "first weights"))
        learner = call.module.Learner(tuple(images.shape[1:]), **networks, **call.options)
        machine.place(learner)
        print(
            f"training {call.name} on {len(train)} images of {tuple(images.shape[1:])}, {machine.describe()}",
            flush=True,
        )
        state = output.with_name("state.pt")
        history, seconds = training.fit(learner, train, validation, seed=args.seed, state=state, recipe=recipe)
        weights.save(
            output,
            learner.networks,
            model=call.name,
            options=io.as_json(call.options),
            seed=str(args.seed),
            steps=str(int(history["step"].max()) + 1),
            seconds=f"{seconds:.1f}",
            commit=commit(),
            machine=machine.describe(),
            recipe=recipe,
            range=intensities,
        )
        io.save_table(args.history, history)
        state.unlink(missing_ok=True)


if __name__ == "__main__":
    cli.run(main)
