"""Random stitching by alibi, which wants an older NumPy than the project: run by the interpreter of ``make alibi``.

It answers on its output, a line of JSON each, what ``workers.Worker`` asks on its input: first what it can be asked
for, then seconds, at the end the GiB of memory that it had at most.
"""

import json
import logging
import resource
import sys
import time

import numpy as np
import torch
from alibi.explainers import AnchorImage

from bench.stitched import Stitched
from evidence.anchoring import Search


def stitching(stitched: Stitched) -> float:
    """Seconds for a thousand samples, of searches with the settings of GANchors. Segments outside of an anchor are kept
    with the chance that the library has, as what is asked for does not reach all of its samples."""
    judge, image, drawn, defaults = stitched.judge(), stitched.images(1)[0], 0, Search()

    def decide(images: np.ndarray) -> np.ndarray:
        nonlocal drawn
        drawn += len(images)
        with torch.no_grad():
            pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32))
            return judge(pixels).argmax(1).numpy()

    last = (*stitched.size, 1)
    explainer = AnchorImage(
        decide,
        last,
        dtype=np.float32,
        segmentation_fn=lambda _: stitched.segments(),
        images_background=stitched.images(stitched.donors).reshape(-1, *last),
        seed=0,
    )
    decide(image.reshape(1, *last))  # the first call is slower
    began, drawn = time.perf_counter(), 0
    for _ in range(stitched.searches):
        explainer.explain(
            image.reshape(last),
            threshold=defaults.precision,
            delta=defaults.delta,
            tau=defaults.gap,
            batch_size=defaults.batch,
            coverage_samples=defaults.coverage,
            beam_size=defaults.beam,
            max_anchor_size=defaults.largest,
            min_samples_start=1,
        )
    return (time.perf_counter() - began) / drawn * 1000


def main() -> None:
    logging.disable()
    stitched = Stitched(**json.loads(sys.argv[1]))
    say(["stitching"])
    for call in map(json.loads, sys.stdin):
        if not call:
            say(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
            return
        say(stitching(stitched))


def say(what) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
