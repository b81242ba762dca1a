r"""Whether samplers of anchors draw what the generator draws: each beside images that agree by chance.

    python bench/samples.py --generator generator.safetensors#average --classifier lenet.safetensors \
        --images images.npy --index index.parquet --out docs/measured/samples.md

For each image the segment is taken that is largest among those which enough of many generated images agree with by
chance; these are the truth. What a sampler draws is compared with them by the maximum mean discrepancy of the samples'
pixels (Gaussian kernel of median width), whose probability under no difference is found by permutations, and by how
many are decided as the image is.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jsonargparse import Namespace
from torch import Tensor, nn

from evidence import chains, cli, io, machine, provenance, sampling, segmenting, trials, weights
from evidence.anchoring import Anchor
from evidence.generating import frozen
from evidence.networks.lean import folded
from evidence.sampling import Sampler, Subject
from evidence.scores import markdown, number
from evidence.seeds import rng

THRESHOLD, SEGMENTS = 0.05, 15
PERMUTATIONS = 500


def main(argv: list[str] | None = None) -> None:
    args = cli.plain(
        argv,
        description=__doc__,
        flags={
            "--generator": "weights of a dcgan, path#network",
            "--classifier": "weights of a classifier, path#network",
            "--images": "images.npy of the packed dataset",
            "--index": "index.parquet of the packed dataset",
            "--chance": {"type": int, "default": 100_000, "help": "images that may agree by chance"},
            "--count": {"type": int, "default": 128, "help": "samples of each sampler"},
            "--bank": {"type": int, "default": 131_072, "help": "images of the chains' bank"},
            "--quick": {"action": "store_true", "help": "leave Algorithm 3 out, which takes minutes an image"},
            "--out": "a Markdown file",
        },
    )
    machine.prepare()
    rows = []
    for row in compared(args):
        rows.append(row)
        print(row, flush=True)
        io.save_text(Path(args.out), page(args, pd.DataFrame(rows)))  # of those that are done already


def compared(args: Namespace) -> Iterator[dict]:
    """A row for each anchor and sampler."""
    generator = weights.load(args.generator, "average")
    classifier = machine.place(folded(weights.load(args.classifier, "classifier")))
    plain = machine.place(folded(generator)).requires_grad_(False)
    random = torch.Generator().manual_seed(1)
    truth = chains.bank(plain, args.chance, random, machine.device())
    known = chains.bank(plain, args.bank, random, machine.device())
    index = io.load_table(args.index)
    images = io.load_array(args.images)
    for row in np.flatnonzero(index["explain"]):
        image = machine.to_device(torch.from_numpy(np.array(images[row][None], np.float32)))
        picture = ((image[0] + 1) / 2).clamp(0, 1).cpu().numpy()
        subject = Subject(image, segmenting.cut(picture, SEGMENTS))
        decision = trials.Decision(classifier, subject)
        if found := chosen(subject, plain, truth, 2 * args.count):
            anchor, agreeing = found
            patched = subject.patched(anchor, agreeing).images
            first, second = patched[: args.count], patched[args.count : 2 * args.count]
            facts = {"label": int(index["label"].iloc[row]), "pixels": int(subject.mask(anchor).sum())}
            facts |= {"chance": len(agreeing) / args.chance, "truth": float(decision.alike(patched[:2000]).mean())}
            alike = float(decision.alike(second).mean())
            free = {"images": np.nan, "milliseconds": np.nan}
            yield facts | {"sampler": "chance, others", "p": probability(first, second), "alike": alike} | free
            made = samplers(subject, generator, plain, known, int(row))
            for name, make in {"Chains": made["Chains"]}.items() if args.quick else made.items():
                yield facts | {"sampler": name} | judged(make, anchor, first, decision, args.count)


def chosen(subject: Subject, generator: nn.Module, truth: chains.Bank, wanted: int) -> tuple[Anchor, Tensor] | None:
    """The largest segment that enough images agree with by chance, and these images; None where there is none."""
    sampler = chains.Chains(subject, generator, truth, rng(0, "truth"), torch.Generator().manual_seed(2))
    for segment in np.argsort(-subject.segments.areas):
        anchor = (int(segment),)
        sampler.prepare([anchor], 0)
        agreeing = sampler.walks[anchor].agreeing
        if wanted <= len(agreeing) <= len(truth.latents) // 20:  # what many agree with tells samplers not apart
            return anchor, truth.images[agreeing]
    return None


def samplers(
    subject: Subject, generator: nn.Module, plain: nn.Module, known: chains.Bank, seed: int
) -> dict[str, Callable[[], Sampler]]:
    """Each with its settings."""

    def descent(norm: str, **settings) -> Sampler:
        begin = sampling.prior(plain, torch.Generator().manual_seed(seed))
        network = machine.place(frozen(generator, norm))
        return sampling.Descent(subject, network, begin, rng(seed, norm), threshold=THRESHOLD, **settings)

    return {
        "Chains": lambda: chains.Chains(
            subject, plain, known, rng(seed, "chains"), torch.Generator().manual_seed(seed), threshold=THRESHOLD
        ),
        "Algorithm 3, running statistics": lambda: descent("running", lr=0.1, drawn=True),
        "Algorithm 3, batch statistics": lambda: descent("batch", lr=0.1, drawn=True),
    }


def judged(
    make: Callable[[], Sampler], anchor: Anchor, truth: Tensor, decision: trials.Decision, count: int
) -> dict[str, float]:
    """What a sampler draws for an anchor, and what that costs. Chains give nothing out of their bank."""
    sampler = make()
    if isinstance(sampler, chains.Chains):
        sampler.prepare([anchor], 0)
        sampler.draw(anchor, max(1, len(sampler.walks[anchor].agreeing)))
    before, began = sampler.cost.images, time.perf_counter()
    images = sampler.draw(anchor, count).images
    cost = (sampler.cost.images - before) / count
    took = (time.perf_counter() - began) / count
    alike = float(decision.alike(images).mean())
    return {"p": probability(truth, images), "alike": alike, "images": cost, "milliseconds": 1000 * took}


def probability(first: Tensor, second: Tensor) -> float:
    """Of so large a discrepancy, if both were samples of one distribution."""
    rows = torch.cat([first, second]).flatten(1).double()
    square = torch.cdist(rows, rows).square()
    kernel, n = torch.exp(-square / square.median()), len(first)
    random = torch.Generator().manual_seed(0)
    orders = [torch.arange(len(rows)), *(torch.randperm(len(rows), generator=random) for _ in range(PERMUTATIONS))]
    signs = torch.ones(len(orders), len(rows), dtype=rows.dtype, device=rows.device)
    for sign, order in zip(signs, orders, strict=True):
        sign[order[n:].to(rows.device)] = -1
    found = ((signs @ kernel) * signs).sum(1)
    return float((found[1:] >= found[0] - 1e-9).double().mean())


def page(args: Namespace, table: pd.DataFrame) -> str:
    """What was found, a table over anchors and one of each."""

    def summary(name: str, part: pd.DataFrame) -> list[str]:
        off = (part["alike"] - part["truth"]).abs().mean()
        cost = (number(part[key].median(), np.nan, 1) for key in ("images", "milliseconds"))
        return [name, f"{(part['p'] < 0.05).sum()} of {len(part)}", f"{part['p'].median():.2f}", f"{off:.3f}", *cost]

    def each(row) -> list[str]:
        facts = [f"{row.label}: {row.pixels}, {row.sampler}", f"{row.chance:.4f}", f"{row.truth:.2f}"]
        return [*facts, f"{row.alike:.2f}", f"{row.p:.2f}", number(row.images, np.nan, 1)]

    lines = [
        "# Do samplers draw what the generator draws?",
        "",
        "Written by `bench/samples.py`, never by hand.",
        "",
        f"- **Machine**: {machine.describe()}",
        f"- **Generator**: {provenance.facts(args.generator.partition('#')[0]).get('steps', 'unknown')} steps",
        f"- **Chance**: {args.chance} generated images; of each image to explain one segment, the largest that "
        f"{2 * args.count} of them or more agree with, and at most a twentieth",
        f"- **Chains**: a bank of {args.bank} images, none of which is among the samples",
        f"- **Samples**: {args.count} a sampler and anchor, against as many that agree by chance",
        "",
        *markdown(
            ["", "p < 0.05", "median p", "off in alike", "images a sample", "milliseconds"],
            (summary(name, part) for name, part in table.groupby("sampler", sort=False)),
        ),
        "",
        "Off in alike: how far the share that is decided as the image is from the truth's, on average.",
        "",
        *markdown(
            ["image: pixels, sampler", "by chance", "alike, truth", "alike", "p", "images a sample"],
            (each(row) for row in table.itertuples()),
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    cli.run(main)
