"""A figure as a job draws it: maps by name out of one file, scores of a whole method, and options as words."""

import json

import numpy as np
import pandas as pd

from evidence import io


def test_a_figure_of_maps_and_scores(script, dataset, tmp_path):
    index = io.load_table(dataset / "index.parquet").assign(subject=range(24))
    io.save_table(tmp_path / "index.parquet", index)
    explained = np.flatnonzero(index["explain"])
    maps = np.random.default_rng(0).uniform(
        -1, 1, (len(explained), 2, *io.load_array(dataset / "images.npy").shape[2:])
    )
    io.save_array(tmp_path / "maps.npy", maps.astype(np.float32))
    samples = index["sample"].iloc[explained]
    io.save_table(tmp_path / "samples.parquet", pd.DataFrame({"sample": samples}), maps=json.dumps(["f00", "f10"]))
    table = pd.concat([pd.DataFrame({"map": "", "sample": samples, "at": at, "value": 0.5}) for at in ("p00", "p10")])
    io.save_table(tmp_path / "scores.parquet", table)
    data = ["--images", dataset / "images.npy", "--index", tmp_path / "index.parquet", "--truth", dataset / "truth.npy"]
    given = ["--maps", f"0={tmp_path}/maps.npy#f00", f"1={tmp_path}/maps.npy#f10"]
    given += ["--scores", f"way={tmp_path}/scores.parquet"]
    written = {end: tmp_path / f"figure.{end}" for end in ("pdf", "png")}
    words = ["--at", '["p00", "p10"]', *data, *given, "--pdf", written["pdf"], "--png", written["png"]]
    status, text = script("draw", "traversal", *words)
    assert status == 0, text
    assert written["png"].read_bytes().startswith(b"\x89PNG")
    assert written["pdf"].read_bytes().startswith(b"%PDF")
    status, text = script("draw", "traversal", "--at", '["p00"]', *words[2:])
    assert status == 1
    assert "at: name one setting for each of the frames 0, 1, not p00" in text
    words = ["--pictures", '["1"]', "--worst", "1", *data, *given[:3], "--pdf", written["pdf"], "--png", written["png"]]
    status, text = script("draw", "gallery", *words)
    assert status == 0, text
