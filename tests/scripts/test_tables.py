"""From maps to the numbers of a table: nothing is dropped in silence, and spreads say what they are over."""

import numpy as np
import pandas as pd
import pytest
import yaml

from evidence import io
from evidence.scores import number


def evaluate(script, dataset, maps, out):
    index = io.load_table(dataset / "index.parquet")
    io.save_array(out / "maps.npy", maps)
    io.save_table(out / "samples.parquet", index.loc[index["explain"], ["sample"]])
    data = ("--images", dataset / "images.npy", "--index", dataset / "index.parquet", "--truth", dataset / "truth.npy")
    return script("evaluate", "ncc", *data, "--maps", out / "maps.npy", "--scores", out / "scores.parquet")


def test_a_constant_map_is_a_counted_and_named_nan(script, dataset, tmp_path):
    index = io.load_table(dataset / "index.parquet")
    rows = np.flatnonzero(index["explain"])
    maps = io.load_array(dataset / "truth.npy")[rows].astype(np.float32)
    maps[1] = 0.5
    status, text = evaluate(script, dataset, maps, tmp_path)
    assert status == 0
    assert f"1 do not exist (constant map?), samples [{rows[1]}]" in text
    scores = io.load_table(tmp_path / "scores.parquet")
    assert scores["sample"].tolist() == rows.tolist()
    assert scores["value"].iloc[0] == pytest.approx(1)
    assert np.isnan(scores["value"].iloc[1])
    assert scores.attrs["better"] == "higher"


def test_samples_without_truth_have_no_score_and_that_is_said(script, dataset, tmp_path):
    index = io.load_table(dataset / "index.parquet")
    rows = np.flatnonzero(index["explain"])
    index.loc[rows[0], "has_truth"] = False
    io.save_table(dataset / "index.parquet", index)
    maps = io.load_array(dataset / "truth.npy")[rows].astype(np.float32)
    status, text = evaluate(script, dataset, maps, tmp_path)
    assert status == 0
    assert "1 explained samples have no truth" in text
    assert io.load_table(tmp_path / "scores.parquet")["sample"].tolist() == [rows[1]]
    io.save_table(dataset / "index.parquet", index.assign(has_truth=False))
    status, text = evaluate(script, dataset, maps, tmp_path)
    assert status == 1
    assert "no explained sample" in text


PAPER = {
    "title": "t",
    "reference": "r",
    "tables": {
        "table1": {
            "caption": "A table.",
            "fixed": {"dataset": "d"},
            "rows": {"method": {"Good": "good", "Poor": "poor", "Floor": "floor"}},
            "columns": {"metric": {"NCC": "ncc"}},
            "floors": ["Floor"],
            "published": {"Good": {"NCC": "0.90 ± 0.05"}, "Poor": {"NCC": 0.2}},
        }
    },
}
VALUES = {  # two seeds of four images
    "good": [[0.8, 0.9, 1.0, 0.9], [0.6, 0.7, 0.8, 0.7]],
    "poor": [[0.1, 0.2, np.nan, 0.3], [0.2, 0.2, 0.2, 0.2]],
    "floor": [[0.4, 0.4, 0.4, 0.4], [0.4, 0.4, 0.4, 0.4]],
}


@pytest.fixture
def tabulated(script, tmp_path):
    """The table of two seeds. What the spread is over, how many seeds a method has, and which end is better vary."""

    def run(over="sample", seeds=None, better="higher"):
        paper = {**PAPER, "tables": {"table1": {**PAPER["tables"]["table1"], "cell": {"over": over}}}}
        path = tmp_path / over / "paper.yaml"
        io.save_text(path, yaml.safe_dump(paper, allow_unicode=True))
        files = []
        for method, replicates in VALUES.items():
            for seed, values in enumerate(replicates):
                table = pd.DataFrame({"map": "", "sample": range(4), "at": "", "value": values})
                path_of = tmp_path / f"results/d/scores/ncc/{method}/seed{seed}.parquet"
                io.save_table(path_of, table, better=better)
                files += [path_of] if seed < (seeds or {}).get(method, 2) else []
        words = ("--results", tmp_path / "results", "--scores", *files, "--scale", "s", "--sources", "d=phantom")
        out = ("--csv", tmp_path / "t.csv", "--md", tmp_path / "t.md")
        status, text = script("tabulate", path, "table1", *words, *out)
        assert status == 0, text
        return pd.read_csv(tmp_path / "t.csv").set_index("row"), (tmp_path / "t.md").read_text()

    return run


def test_ours_is_the_mean_of_the_seeds_means(tabulated):
    table, _ = tabulated()
    assert table.loc["Good", "ours"] == pytest.approx((0.9 + 0.7) / 2)
    assert table.loc["Poor", "ours"] == pytest.approx((0.2 + 0.2) / 2)
    assert table.loc["Good", ["published", "published_spread"]].tolist() == [0.9, 0.05]
    assert np.isnan(table.loc["Poor", "published_spread"])
    assert table["seeds"].tolist() == [2, 2, 2]
    assert table["source"].unique().tolist() == ["phantom"]


def test_the_spread_over_images_is_not_that_over_seeds(tabulated):
    table, text = tabulated("sample")
    assert table.loc["Good", "ours_spread"] == pytest.approx(np.sqrt(0.02 / 4))  # of each seed around its own mean
    assert "± is over images" in text
    table, text = tabulated("seed")
    assert table.loc["Good", "ours_spread"] == pytest.approx(np.std([0.9, 0.7], ddof=1))
    assert "± is over seeds" in text


def test_both_spreads_are_shown_where_there_are_several_seeds(tabulated):
    table, text = tabulated()
    assert table.loc["Good", "seeds_spread"] == pytest.approx(np.std([0.9, 0.7], ddof=1))
    assert "n = 3 to 4 scores a cell, 2 seeds; ± is over images, in brackets over the means of seeds" in text
    assert "which seeds" not in text, "all rows have the same"
    _, text = tabulated("seed")
    assert "| Good | 0.90 ± 0.05 | 0.80 ± 0.14 | -0.10 |" in text


def test_a_row_with_fewer_seeds_says_so(tabulated):
    """Only the files that are given count, whatever else lies beside them."""
    table, text = tabulated(seeds={"good": 1})
    assert table["seeds"].to_dict() == {"Good": 1, "Poor": 2, "Floor": 2}
    assert table.loc["Good", "ours"] == pytest.approx(0.9)
    assert np.isnan(table.loc["Good", "seeds_spread"])
    assert "|  | NCC published | NCC ours | difference | which seeds |" in text
    assert "| Good | 0.90 ± 0.05 | 0.90 ± 0.07 | +0.00 | 0 |" in text
    assert "| Floor |  | 0.40 ± 0.00 (± 0.00) |  | 0, 1 |" in text
    assert "1 to 2 seeds" in text
    table, text = tabulated(seeds=dict.fromkeys(VALUES, 1))
    assert table["seeds_spread"].isna().all()
    assert "1 seed; ± is over images; phantom images." in text


def test_scores_that_do_not_exist_are_counted_and_named(tabulated):
    table, text = tabulated()
    assert table.loc["Good", "n"] == 4
    assert table.loc["Poor", "n"] == 3  # of four in one seed, the whole number below the mean over seeds
    assert "Poor, NCC: 1 of 8 scores do not exist and are left out; their logs name them." in text


def test_published_ours_and_difference_stand_side_by_side(tabulated):
    _, text = tabulated()
    assert "| Good | 0.90 ± 0.05 | 0.80 ± 0.07 (± 0.14) | -0.10 |" in text
    assert "| Floor |  | 0.40 ± 0.00 (± 0.00) |  |" in text


def test_a_floor_that_beats_a_method_is_said_in_words(tabulated):
    _, text = tabulated()
    assert "Floor (0.40) lies above Poor (0.20), as measured here." in text
    assert "Floor (0.40) lies above Poor (0.20), as published." in text
    assert "above Good" not in text
    _, text = tabulated(better="lower")
    assert "Floor (0.40) lies below Good (0.80), as measured here." in text
    assert "Floor (0.40) lies below Good (0.90), as published." in text
    _, text = tabulated(better="middle")
    assert "A floor" not in text


def test_a_score_of_all_samples_has_no_sample(script, dataset, networks, tmp_path):
    data = ("--images", dataset / "images.npy", "--index", dataset / "index.parquet")
    for metric, count in (("accuracy", 4), ("auc", 1)):
        out = tmp_path / f"{metric}.parquet"
        status, text = script("evaluate", metric, "--classifier", networks["classifier"], *data, "--scores", out)
        assert status == 0, text
        scores = io.load_table(out)
        assert len(scores) == count
        assert scores["sample"].isna().all() == (count == 1)


@pytest.mark.parametrize(("scale", "name"), [("real", "cohort-real"), ("paper", "cohort"), ("cohort", "cohort")])
def test_what_is_kept_is_called_after_paper_and_scale(script, tmp_path, scale, name):
    folder = tmp_path / "results" / scale / "papers" / "cohort"
    io.save_text(folder / "page.md", "# t\n\n- **Training**: x\n")
    status, text = script("record", folder, "--out", tmp_path / "out")
    assert status == 0, text
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{name}.md"]


@pytest.mark.parametrize("words", [(), ("--pictures",)])
def test_pictures_of_real_images_are_kept_only_where_somebody_says_so(script, tmp_path, words):
    folder = tmp_path / "results" / "real" / "papers" / "cohort"
    io.save_text(folder / "page.md", "# t\n\n- **Training**: x\n\n![gallery](gallery.png)\n\n![curves](curves.png)\n")
    for picture in ("gallery", "curves"):
        (folder / f"{picture}.png").write_bytes(b"\x89PNG")
    none = {"row": ["x"], "column": ["y"], "seeds": [1]}  # which the paper has not
    io.save_table(folder / "networks.csv", pd.DataFrame({**none, "source": ["real"]}))
    status, text = script("record", folder, "--out", tmp_path / "out", *words)
    assert status == 0, text
    kept = {path.name for path in (tmp_path / "out").iterdir()}
    assert kept - {"cohort-real-gallery.png"} == {
        "cohort-real.csv",
        "cohort-real-seeds.csv",
        "cohort-real.md",
        "cohort-real-curves.png",
    }
    assert ("cohort-real-gallery.png" in kept) == bool(words)
    assert ("not kept here" in (tmp_path / "out" / "cohort-real.md").read_text()) != bool(words)


def test_pictures_of_generated_images_are_kept(script, tmp_path):
    folder = tmp_path / "results" / "real" / "papers" / "dravid2022"
    pictures = ("figure3_mri", "figure5", "figure8", "curves")
    io.save_text(folder / "page.md", "".join(f"- **Training**\n\n![{name}]({name}.png)\n" for name in pictures))
    for picture in pictures:
        (folder / f"{picture}.png").write_bytes(b"\x89PNG")
    io.save_table(folder / "t.csv", pd.DataFrame({"source": ["real"]}))
    status, text = script("record", folder, "--out", tmp_path / "out")
    assert status == 0, text
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {
        "dravid2022-real-figure3_mri.png",
        "dravid2022-real-curves.png",
    }


@pytest.mark.parametrize(("scale", "name"), [("paper", "baumgartner2018"), ("quick", "baumgartner2018-quick")])
def test_the_numbers_behind_the_curves_are_kept(script, tmp_path, scale, name):
    """Validations alone, of the models that a figure shows; the papers' own size needs no name."""
    folder = tmp_path / "results" / scale / "papers" / "baumgartner2018"
    io.save_text(folder / "page.md", "# t\n\n- **Training**: x\n")
    (folder / "curves.png").write_bytes(b"\x89PNG")
    rows = [
        (9, "adversarial", 1.0),
        (9, "validation_ncc", 1 / 3),
        (19, "validation_ncc", 0.5),
        (9, "validation_change", 2),
    ]
    for model in ("vagan", "vagan_b"):  # the second stands in no figure that was drawn
        history = tmp_path / "results" / scale / "synthetic" / "models" / model / "seed1" / "history.parquet"
        io.save_table(history, pd.DataFrame(rows, columns=["step", "name", "value"]))
    status, text = script("record", folder, "--out", tmp_path / "out")
    assert status == 0, text
    assert (tmp_path / "out" / f"{name}-curves.csv").read_text().splitlines() == [
        "dataset,model,seed,step,change,ncc",
        "synthetic,vagan,1,9,2,0.3333",
        "synthetic,vagan,1,19,,0.5",
    ]


def test_cells_of_one_file_have_the_scores_of_their_own_map(script, tmp_path):
    rows = {"method": {"E": "syce.difference", "v1": "syce.v1"}}
    paper = {**PAPER, "tables": {"t": {"rows": rows, "fixed": {"dataset": "d", "metric": "ncc"}}}}
    io.save_text(tmp_path / "paper.yaml", yaml.safe_dump(paper, allow_unicode=True))
    of = [
        pd.DataFrame({"map": name, "sample": range(2), "at": "", "value": value})
        for name, value in (("difference", 0.2), ("v1", 0.4))
    ]
    path = tmp_path / "results/d/scores/ncc/syce/seed0.parquet"
    io.save_table(path, pd.concat(of), better="higher")
    words = ("--results", tmp_path / "results", "--scores", path, "--scale", "s", "--sources", "d=phantom")
    status, text = script(
        "tabulate", tmp_path / "paper.yaml", "t", *words, "--csv", tmp_path / "t.csv", "--md", tmp_path / "t.md"
    )
    assert status == 0, text
    table = pd.read_csv(tmp_path / "t.csv").set_index("row")
    assert table["ours"].to_dict() == pytest.approx({"E": 0.2, "v1": 0.4})
    assert table["n"].tolist() == [2, 2]


@pytest.fixture
def settings(script, tmp_path):
    """A table of one metric's settings; the scores are those of four images, or of several repeats."""

    def run(scores, **spec):
        columns = {"at": {at: at for at in next(iter(scores.values()))}}
        rows = {"method": {name: name for name in scores}}
        table = {"rows": rows, "columns": columns, "fixed": {"dataset": "d", "metric": "m"}, **spec}
        paper = {**PAPER, "tables": {"t": table}}
        path = tmp_path / f"{len(list(tmp_path.glob('*.yaml')))}.yaml"  # a paper is read once a process
        io.save_text(path, yaml.safe_dump(paper, allow_unicode=True))
        files = []
        for name, settings in scores.items():
            pieces = [
                pd.DataFrame({"map": "", "sample": pd.array(sample, dtype="Int64"), "at": at, "value": values})
                for at, (sample, values) in settings.items()
            ]
            files.append(tmp_path / f"results/d/scores/m/{name}/seed0.parquet")
            io.save_table(files[-1], pd.concat(pieces), better="higher")
        words = ("--results", tmp_path / "results", "--scores", *files, "--scale", "s", "--sources", "d=real")
        out = ("--csv", tmp_path / "t.csv", "--md", tmp_path / "t.md")
        status, text = script("tabulate", path, "t", *words, *out)
        assert status == 0, text
        return (tmp_path / "t.md").read_text()

    return run


def test_cells_of_a_row_that_lack_as_many_scores_are_named_together(settings):
    each, whole, torn, none = range(4), [0.1, 0.2, 0.3, 0.4], [0.1, np.nan, 0.3, np.nan], [np.nan] * 4
    text = settings(
        {
            "one": {"p00": (each, torn), "p01": (each, torn), "p02": (each, whole)},
            "two": {"p00": (each, none), "p01": (each, torn), "p02": (each, whole)},
        }
    )
    said = [line for line in text.splitlines() if "do not exist" in line]
    assert said == [
        "one, p00, p01: 2 of 4 scores do not exist and are left out; their logs name them.",
        "two, p00: 4 of 4 scores do not exist and are left out; their logs name them.",
        "two, p01: 2 of 4 scores do not exist and are left out; their logs name them.",
    ]
    assert "| two |  | 0.20 ± 0.10 | 0.25 ± 0.11 |" in text
    assert "n = 0 to 4 scores a cell, 1 seed; ± is over images; real images." in text


def test_a_spread_over_repeats_is_not_called_one_over_images(settings):
    repeats, images, single = ([pd.NA] * 3, [0.4, 0.5, 0.6]), (range(3), [0.0, 1.0, 1.0]), ([pd.NA], [0.9])
    text = settings({"generated": {"accuracy": repeats, "auc": repeats}})
    assert "± is over repeats; real images." in text
    assert "| generated | 0.50 ± 0.08 | 0.50 ± 0.08 |" in text
    text = settings({"generated": {"accuracy": repeats, "auc": repeats}, "real": {"accuracy": images, "auc": single}})
    assert "± is over images, or repeats where a score is of all images; real images." in text
    assert "± is over images; real" in settings({"real": {"accuracy": images, "auc": single}})


def test_a_spread_over_several_scores_of_an_image_says_so(settings):
    text = settings({"one": {"size": ([0, 0, 1, 1], [0.1, 0.3, 0.2, 0.2])}})
    assert "n = 4 scores a cell, 1 seed; ± is over images and what is repeated of each; real images." in text


def test_published_stands_beside_ours_in_columns_of_which_the_paper_has_a_number(settings):
    scores = {"one": {"area": (range(2), [0.1, 0.1]), "drop": (range(2), [0.2, 0.4])}}
    text = settings(scores, published={"one": {"drop": "0.97 ± 0.03"}})
    assert "|  | area | drop published | drop ours | difference |" in text
    assert "| one | 0.10 ± 0.00 | 0.97 ± 0.03 | 0.30 ± 0.10 | -0.67 |" in text
    assert "|  | area | drop |" in settings(scores)


def test_from_a_thousand_on_nothing_stands_behind_the_point():
    assert number(999.4, 2.25, 1) == "999.4 ± 2.2"
    assert number(-85171.2, 33024.9, 3, 12.34) == "-85171 ± 33025 (± 12)"
    assert number(0.94, np.nan, 2) == "0.94"
    assert number(np.nan, 0.1, 2) == ""
