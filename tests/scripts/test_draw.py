"""A figure as a job draws it: maps by name out of one file, scores of a whole method, and options as words."""

import importlib
import json

import numpy as np
import pandas as pd
from PIL import Image

from evidence import io
from evidence.figures import gallery

draw = importlib.import_module("scripts.draw")


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
    with Image.open(written["png"]) as picture:
        assert "Slides" not in picture.info
    status, text = script("draw", "slides", *words)
    assert status == 0, text
    with Image.open(written["png"]) as picture:
        assert picture.info["Slides"] == "2", "so the report knows"
    words = ["--pictures", '["1"]', "--worst", "1", *data, *given[:3], "--pdf", written["pdf"], "--png", written["png"]]
    status, text = script("draw", "gallery", *words)
    assert status == 0, text


def test_a_gallery_shows_images_that_all_methods_were_asked_for(dataset, tmp_path):
    """One of two methods has the map of the second explained sample alone."""
    index = io.load_table(dataset / "index.parquet").assign(subject=range(24))
    first, second = np.flatnonzero(index["explain"])
    maps = np.ones((2, 1, *io.load_array(dataset / "images.npy").shape[2:]), np.float32)
    for name, samples in (("all", [first, second]), ("some", [second])):
        (tmp_path / name).mkdir()
        io.save_array(tmp_path / name / "maps.npy", maps[: len(samples)])
        io.save_table(tmp_path / name / "samples.parquet", pd.DataFrame({"sample": samples}))
    found = draw.of_explained({name: str(tmp_path / name / "maps.npy") for name in ("all", "some")}, index)
    assert np.isnan(found["some"][0]).all()
    assert np.array_equal(found["some"][1], maps[1])
    assert gallery.drawn(found, 2).tolist() == [1]
    images = io.load_array(dataset / "images.npy")
    assert len(gallery.draw(images, index, found, count=2).axes) == 3, "one row: the image, and two maps"
    found["some"][:] = np.nan
    words = gallery.draw(images, index, found, count=2).texts[0].get_text()
    assert words == "No image is shown: none has a map of every method."
