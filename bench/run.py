"""Measure what an update of VA-GAN and a map cost here: beside textbook code, captum, Quantus, and the machine's roof.

Each case is a process of its own. All are asked in turn, round after round, so that a machine that others use too, or
whose clock drifts, treats them alike; tables hold medians over the rounds.
"""

import math
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # bench/ is not installed

from bench import anchors, latents, paths, workers
from bench.anchors import Anchors
from bench.latents import Latents
from bench.paths import Ways
from bench.stitched import Stitched
from bench.workers import Case, Maps, tuned, untuned, working
from evidence import cli, io, machine, signatures
from evidence.errors import BadInput, near
from evidence.explaining import BATCH
from evidence.models.vagan import Learner
from evidence.provenance import commit
from evidence.scores import markdown


@dataclass(frozen=True)
class Pair:
    """VA-GAN's two networks and their batch."""

    size: tuple[int, ...]
    batch: int  # images of each class
    width: int
    apart: bool  # whether each update has workers of its own: twice as many, and peaks of memory that are its own


PAPER = {
    "steps2d": Pair((112, 112), batch=32, width=16, apart=True),
    "steps3d": Pair((128, 160, 112), batch=2, width=16, apart=True),
    "attribution": Maps((112, 112), width=32, hidden=512, batch=BATCH, few=10, steps=100, iterations=50),
    "paths": Ways((224, 224), layers=(3, 4, 6, 3), width=64, steps=50, explained=2, region=8, regions=100, scored=8),
    "latents": Latents(
        (64, 64),
        channels=3,
        z1=1000,
        z2=100,
        base=768,
        widths=(384, 256, 192),
        judge_widths=(16, 32, 64, 128, 256, 512),
        batch=32,
        at_once=(1, 8, 64),
        iterations=4,
    ),
    "anchors": Anchors(
        (28, 28),
        widths=(512, 256, 128, 64),
        classifier=(20, 50),
        hidden=500,
        grid=(5, 3),
        donors=1000,
        searches=5,
        latents=64,
        updates=4,
    ),
}
QUICK = {
    "steps2d": Pair((16, 32), batch=2, width=2, apart=False),
    "steps3d": Pair((48, 16, 32), batch=2, width=2, apart=False),
    "attribution": Maps((16, 32), width=2, hidden=8, batch=2, few=2, steps=4, iterations=2),
    "paths": Ways((32, 32), layers=(1, 1, 1, 1), width=2, steps=4, explained=2, region=8, regions=3, scored=2),
    "latents": Latents(
        (64, 64),
        channels=1,
        z1=3,
        z2=2,
        base=4,
        widths=(4, 4, 4),
        judge_widths=(2, 2),
        batch=4,
        at_once=(1, 2),
        iterations=2,
    ),
    "anchors": Anchors(
        (28, 28),
        widths=(4, 4, 4, 4),
        classifier=(2, 2),
        hidden=4,
        grid=(3, 2),
        donors=20,
        searches=1,
        latents=4,
        updates=2,
    ),
}
ALIBI = workers.ROOT / ".alibi" / "bin" / "python"
ROUNDS = {"steps2d": 7, "steps3d": 3, "attribution": 3, "paths": 3, "latents": 3, "anchors": 5}
METHODS = {  # as Table 1 calls them
    "gradient": "Gradient",
    "guided_backprop": "Guided backpropagation",
    "integrated_gradients": "Integrated gradients",
    "cam": "CAM",
    "additive_perturbation": "Additive perturbation",
    "vagan": "VA-GAN",
}


def main(argv: list[str] | None = None) -> None:
    args = cli.plain(
        argv,
        description=__doc__,
        flags={
            "--only": {"default": ",".join(PAPER), "help": "some of the parts, with commas between them"},
            "--rounds": {"type": int, "help": f"rounds of each part, not {', '.join(map(str, ROUNDS.values()))}"},
            "--quick": {"action": "store_true", "help": "tiny sizes and a single round: does it run?"},
            "--out": {"default": "docs/measured", "help": "where bench-<machine>.md goes"},
        },
    )
    parts = args.only.split(",")
    for part in parts:
        if part not in PAPER:
            raise BadInput(f"--only {args.only}: {part!r} is no part; {near(part, PAPER)}")
    if args.rounds is not None and args.rounds < 1:
        raise BadInput(f"--rounds starts at 1, not {args.rounds}")
    machine.prepare()
    others = Others()
    some = [] if set(parts) == set(PAPER) else [part for part in PAPER if part in parts]
    label = " ".join(["bench", machine.describe().partition(",")[0], *some, *["quick"] * args.quick])
    path = Path(args.out) / f"{re.sub('[^a-z0-9]+', '-', label.lower()).strip('-')}.md"
    sections: list[str] = []
    for part in (part for part in PAPER if part in parts):
        rounds = args.rounds or (1 if args.quick else ROUNDS[part])
        for section in MEASURES.get(part, updates)((QUICK if args.quick else PAPER)[part], rounds):
            sections.append(section)
            text = "\n\n".join([*head(others, parts, args.quick), *sections]) + "\n"
            io.save_text(path, text)  # after each section: what is measured is not lost when a later one is
    print(text)
    print(path)


# --- measuring --------------------------------------------------------------------------------------------------------

Answers = dict[tuple[str, str], list[float]]  # (worker, call) → an answer a round


def in_turn(what: str, cases: Mapping[str, Case], rounds: int, warm_up: int = 0) -> tuple[Answers, dict[str, float]]:
    """Ask every worker for all it can do, round after round; answers, and GiB of memory at most, by name."""
    with working(cases) as (group, able):
        calls = dict.fromkeys(call for can in able.values() for call in can)
        answers: Answers = {(name, call): [] for call in calls for name in group if call in able[name]}
        for number in range(-warm_up, rounds):
            turn = f"round {number + 1} of {rounds}" if number >= 0 else "warm-up"
            print(f"{what}: {turn}", file=sys.stderr, flush=True)
            for (name, call), found in answers.items():
                answer = group[name].ask(call)
                if number >= 0:
                    found.append(answer)
        return answers, {name: worker.leave() for name, worker in group.items()}


class Others:
    """CPU time that processes other than ours take from now on."""

    def __init__(self):
        self.began, self.before = time.perf_counter(), self._spent()

    def __str__(self) -> str:
        if self.before is None:
            return "not known here"
        cores = (self._spent() - self.before) / (time.perf_counter() - self.began)
        return f"took {max(0.0, cores):.2f} of {os.cpu_count()} cores on average"

    @staticmethod
    def _spent() -> float | None:
        """Seconds of all but this process and its ended children, idle time and waiting for disks left out."""
        try:
            user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
        except (OSError, ValueError):
            return None
        busy = (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
        return busy - sum(os.times()[:4])


# --- the parts --------------------------------------------------------------------------------------------------------


def updates(pair: Pair, rounds: int) -> Iterator[str]:
    """VA-GAN's two updates: the textbook's, ours, and the roof."""
    on_gpu = machine.device().type == "cuda"
    dims, size = f"{len(pair.size)}D", "×".join(map(str, pair.size))
    yield f"## VA-GAN {dims}: {pair.batch} + {pair.batch} images of {size}, networks of width {pair.width}"
    roof = {"channels": 256, "size": 56, "batch": 64} if on_gpu else {"channels": 64, "size": 56, "batch": 8}
    networks = {"size": pair.size, "batch": pair.batch, "width": pair.width}
    often, whole = critic_updates(), {}  # seconds of a whole step by case
    for names in [("critic",), ("generator",)] if pair.apart else [("critic", "generator")]:
        given = {**networks, "names": names}
        cases = {"textbook": Case(workers.textbook_updates, given, untuned())}
        for precision in ("float32", "tf32", "bfloat16") if on_gpu else ("float32", "bfloat16"):
            cases[f"ours, {precision}"] = Case(workers.our_updates, given, tuned(precision))
        what = f"{dims}, {' and '.join(names)} update"
        answers, memory = in_turn(what, {**cases, "roof": Case(workers.roof, roof, tuned())}, rounds)
        roofs = {call: median(found) for (worker, call), found in answers.items() if worker == "roof"}
        for name in names:
            taken = {case: answers[case, name] for case in cases}
            for case, found in taken.items():
                whole[case] = whole.get(case, 0.0) + median(found) * (often if name == "critic" else 1)
            table = update_table(taken, memory, roofs, workers.flops(**networks, name=name))
            yield f"One **{name} update**, {rounds} round{'s' * (rounds > 1)}:\n\n{table}"
    rows = [(case, digits(seconds), digits(whole["textbook"] / seconds)) for case, seconds in whole.items()]
    table = "\n".join(markdown(("", "seconds", "textbook ÷ this"), rows))
    yield f"One **step** of the released schedule: {often:g} critic updates, on average, and a generator's.\n\n{table}"


def critic_updates() -> float:
    """Critic updates a step, on average over the released schedule."""
    released = Learner((1, 16, 16), width=1)
    return sum(map(released.critic_updates, range(released.steps))) / released.steps


def update_table(
    taken: Mapping[str, list[float]], memory: Mapping[str, float], roofs: Mapping[str, float], flops: Mapping[str, int]
) -> str:
    """The table of an update, its floor and its roof."""
    needed, plain_seconds = flops["needed"], median(taken["textbook"])
    rows = []
    for name, found in taken.items():
        seconds = median(found)
        arithmetic = "tf32" if name == "textbook" else name.removeprefix("ours, ")
        roof = roofs.get(arithmetic, roofs["float32"])
        done = flops["textbook" if name == "textbook" else "ours"]
        shares = [f"{work / seconds / roof:.2f}" for work in (needed, done)]
        cells = digits(seconds), digits(min(found)), digits(plain_seconds / seconds), *shares
        rows.append((name, *cells, digits(done / 1e9), digits(memory[name])))
    for arithmetic, roof in roofs.items():
        floor = needed / roof
        cells = digits(floor), "", digits(plain_seconds / floor), "1", "1", digits(needed / 1e9), ""
        rows.append((f"floor, {arithmetic}", *cells))
    said = ", ".join(f"{digits(roof / 1e9)} GFLOP/s in {arithmetic}" for arithmetic, roof in roofs.items())
    shares = "share of the roof", "its own share"
    heads = ("", "seconds", "fastest", "textbook ÷ this", *shares, "GFLOP", "peak memory, GiB")
    table = "\n".join(markdown(heads, rows))
    return f"{table}\n\nRoof in these rounds: {said}."


def attribution(maps: Maps, rounds: int) -> Iterator[str]:
    """Seconds a map: ours, and captum's own where it has the method."""
    yield f"## Maps of {'×'.join(map(str, maps.size))}, classifiers of width {maps.width}"
    cases = {
        "ours": Case(workers.our_maps, {"maps": maps}, tuned()),
        "captum": Case(workers.captum_maps, {"maps": maps}, untuned()),
    }
    answers, _ = in_turn("maps", cases, rounds, warm_up=1)
    whole = signatures.signature("attribution", "additive_perturbation").options["iterations"]
    rows = []
    for method, title in METHODS.items():
        seconds, peer = (median(answers.get((name, method), [math.nan])) for name in cases)
        if method == "additive_perturbation":
            seconds, title = seconds * whole / maps.iterations, f"{title}, extrapolated"
        theirs = ("", "") if math.isnan(peer) else (digits(peer), digits(peer / seconds))
        rows.append((title, str(maps.count(method)), digits(seconds), digits(1 / seconds), *theirs))
    heads = ("", "batch", "seconds a map", "maps a second", "captum: seconds a map", "captum ÷ ours")
    yield "\n".join(markdown(heads, rows))
    yield (
        f"{rounds} round{'s' * (rounds > 1)}. Ours is the time that the loop around the methods writes beside each\n"
        "map: images to the device, the method and what it measures of itself, the map back; in float32, on networks\n"
        "with random weights and with running statistics that fit the images. Integrated gradients take\n"
        f"{maps.steps} gradients a map. Of additive perturbation {maps.iterations} iterations are measured, and\n"
        f"**a map of {whole:,} is extrapolated** in proportion. Captum is called plainly, for the logit of the class,\n"
        "on the same classifier made of torch's own layers in torch's own layout, with the `internal_batch_size`\n"
        "that is best here."
    )


def sweeps(ways: Ways, rounds: int) -> Iterator[str]:
    """Seconds an image: all maps of a way beside captum's integrated gradients, AOPC beside Quantus'."""
    yield f"## Ways and replacements: images of {'×'.join(map(str, ways.size))}, residual network of width {ways.width}"
    cases = {
        "ours": Case(paths.ours, {"ways": ways}, tuned()),
        "captum": Case(paths.captums, {"ways": ways}, untuned()),
        "Quantus": Case(paths.quantus, {"ways": ways}, untuned()),
    }
    answers, _ = in_turn("ways", cases, rounds)
    rows = []
    for call, peer, title in (
        ("path", "captum", f"Four maps and the completeness error, {ways.steps} gradients"),
        ("aopc", "Quantus", f"AOPC, {ways.regions} regions"),
    ):
        mine, theirs = answers["ours", call], answers[peer, call]
        share = median(own / other for own, other in zip(mine, theirs, strict=True))
        rows.append((title, digits(median(mine)), peer, digits(median(theirs)), f"{share:.2f}"))
    yield "\n".join(markdown(("", "seconds an image", "peer", "its seconds", "ours ÷ peer"), rows))
    yield (
        f"{rounds} round{'s' * (rounds > 1)}, all asked in turn in each; ratios are medians of the rounds' own.\n"
        f"A ResNet with {' + '.join(map(str, ways.layers))} blocks, random weights and running statistics that fit\n"
        "the images; all in float32. Captum's IntegratedGradients by the middle rule goes the same way for one map,\n"
        "the image mirrored standing for an adversary, at the best `internal_batch_size` of five. Quantus'\n"
        "RegionPerturbation replaces the same regions by the same pixels at the best `batch_size` of four; both\n"
        "evaluate every region."
    )


def searches(sizes: Latents, rounds: int) -> Iterator[str]:
    """medXGAN's step, and iterations of inversion."""
    size = "×".join(map(str, sizes.size))
    yield f"## medXGAN: images of {size} with {sizes.channels} channels, {sizes.z1} + {sizes.z2} latents"
    cases = {"textbook": Case(latents.plain, {"latents": sizes}, untuned())}
    for precision in ("float32", "bfloat16"):
        cases[f"ours, {precision}"] = Case(latents.ours, {"latents": sizes}, tuned(precision))
    answers, _ = in_turn("latents", cases, rounds)
    found = {key: median(values) for key, values in answers.items()}
    rows = [
        (case, digits(found[case, "step"]), digits(found["textbook", "step"] / found[case, "step"])) for case in cases
    ]
    table = "\n".join(markdown(("", "seconds", "textbook ÷ this"), rows))
    yield f"One **training step**, {sizes.batch} images, {rounds} round{'s' * (rounds > 1)}:\n\n{table}"
    first, rows = str(sizes.at_once[0]), []
    for count in map(str, sizes.at_once):
        plain, ours = found["textbook", count], found["ours, float32", count]
        ratios = digits(plain / ours), digits(found["textbook", first] / ours)
        rows.append((count, digits(plain * 1000), digits(ours * 1000), *ratios))
    heads = ("at once", "textbook: ms", "ours: ms", "textbook ÷ ours", "textbook, one by one ÷ ours")
    table = "\n".join(markdown(heads, rows))
    yield (
        f"One **iteration of inversion for one image**, float32, means of {sizes.iterations}:\n\n{table}\n\n"
        "Textbook: torch's Adam on the latents, a generator and a classifier that are not frozen, so gradients of\n"
        "their weights are computed and left, nothing folded, in torch's own layout; its training step goes back\n"
        "through the generator where only the discriminator learns. Networks are those of the paper, without training."
    )


def explanations(sizes: Anchors, rounds: int) -> Iterator[str]:
    """Random stitching, and an update of latents."""
    size = "×".join(map(str, sizes.size))
    yield f"## Anchors: images of {size}, {math.prod(sizes.grid)} segments, MNIST's networks"
    cases = {
        "usual": Case(anchors.usual, {"anchors": sizes}, untuned()),
        "ours, float32": Case(anchors.ours, {"anchors": sizes}, tuned("float32")),
    }
    if ALIBI.is_file():
        stitched = {field.name: getattr(sizes, field.name) for field in fields(Stitched)}
        cases["alibi"] = Case("bench.alibis", stitched, untuned(), str(ALIBI))
    answers, _ = in_turn("anchors", cases, rounds)
    found = {key: median(values) for key, values in answers.items()}
    stitching, update = "search by stitching, s for 1,000 samples", f"update of {sizes.latents} latents, ms"
    asked = [(stitching, "anchor-exp", "usual", "stitching", 1), (update, "textbook", "usual", "update", 1000)]
    if "alibi" in cases:
        asked.insert(1, (stitching, "alibi", "alibi", "stitching", 1))
    rows = []
    for what, peer, case, call, factor in asked:
        theirs, ours = found[case, call], found["ours, float32", call]
        rows.append((what, peer, digits(theirs * factor), digits(ours * factor), digits(theirs / ours)))
    table = "\n".join(markdown(("", "peer", "its", "ours", "its ÷ ours"), rows))
    absent = "" if "alibi" in cases else " Alibi is not here; `make alibi` installs it in an environment of its own."
    yield (
        f"Medians of {rounds} round{'s' * (rounds > 1)}:\n\n{table}\n\n"
        "Peers: anchor-exp 0.0.2.0, and alibi 0.9.6 in an environment of its own, with their own samplers and\n"
        f"{sizes.searches} searches on the same image, segments, donors and classifier; and torch's Adam on latents,\n"
        "with gradients of the generator's weights computed and left, nothing folded. Networks are those of the\n"
        f"paper, without training; the decision hangs on two segments.{absent}"
    )


MEASURES = {"attribution": attribution, "paths": sweeps, "latents": searches, "anchors": explanations}


# --- the document -----------------------------------------------------------------------------------------------------


def head(others: Others, parts: Sequence[str], quick: bool) -> list[str]:
    """What ran where and when, and how the tables are to be read."""
    name, *threads = machine.describe().split(", ")[:-1]  # the last word is a precision, and each case has its own
    facts = {
        "Machine": ", ".join([name, *threads]),
        "Other processes": str(others),
        "torch": torch.__version__,
        "Date": time.strftime("%Y-%m-%d"),
        "Commit": f"{commit()} (a plus: with changes since)",
    }
    tiny = ["**Tiny sizes: this says that the benchmark runs, and nothing about speed.**"] if quick else []
    return [
        f"# Speed on {name}",
        "What updates, maps and searches cost here. Written by `make bench`, never by hand.",
        "\n".join(f"- **{key}**: {value}" for key, value in facts.items()),
        *tiny,
        READING,
        *[UPDATES] * any(isinstance(PAPER[part], Pair) for part in parts),
    ]


READING = """\
Each case is a process of its own; all are asked in turn, each call follows two others that do not count, and tables
hold medians over the rounds. Seconds are wall clock."""

UPDATES = """\
- **Textbook** is the WGAN-GP update as ports of VA-GAN have it (`bench/textbook.py`): the same networks and losses, as
  a test proves, in torch's own layers, layout and settings. The generator is not detached from the critic's loss, nor
  are the critic's weights frozen in the generator's. Its arithmetic is torch's default: float32, on a GPU TF32. It is
  no strong peer: the authors' own TensorFlow graph is faster than such ports, and is not run here.
- **Ours** is the update as a training step makes it, with the gradient penalty, the generator's pass and Adam.
- **Share of the roof** is the same work for all rows, divided by seconds and roof, whatever a row really computes. For
  the critic's update it is the textbook's critic passes alone: two forward and backward, and a penalty differentiated
  twice, 12 forward passes together, but no pass of the generator. For the generator's update it is the U-Net forward
  and backward, and the critic forward and back to its images. Who computes less, or in bfloat16, can lie above 1.
- **GFLOP** are those that a row does compute in convolutions, the generator's passes included, as torch counts them;
  **its own share** of the roof is of these. In 3D the generator's pass is two fifths of a critic's update.
- **Roof** is the best of many 3×3 convolutions in the same rounds, channels last: on a CPU of 64 channels and 8 images
  of 56×56, in float32; on a GPU of 256 channels and 64 images, in the arithmetic of the row. **Floor** is the work of
  the shares at this rate.
- **Peak memory** is that of the process, torch itself included; on a GPU that of its tensors."""


def digits(value: float) -> str:
    """Three digits, or all in front of the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


if __name__ == "__main__":
    cli.run(main)
