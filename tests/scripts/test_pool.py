"""Records of several runs as one page: the same numbers as of one run that had all seeds."""

import re

import numpy as np
import pandas as pd
import pytest

from evidence import io, pages

METHODS = ("vagan", "vagan_b", "vagan_d10", "intensity")  # of the table of variants, and a floor of another


@pytest.fixture
def records(script, root, monkeypatch, tmp_path):
    """Writes what was measured of some methods with some seeds, and keeps it as a record."""
    monkeypatch.chdir(root)

    def record(name, seeds, *, scale="paper", shift=0.0, text="", **facts):
        results = tmp_path / name / "results" / scale
        folder = results / "papers" / "baumgartner2018"
        io.save_json(results / "synthetic" / "data" / "info.json", {"source": "generated"})
        for method, of in seeds.items():
            for seed in of:
                values = np.random.default_rng([METHODS.index(method), seed]).uniform(size=20) + shift
                values[3] = np.nan if method == "vagan_b" else values[3]
                table = pd.DataFrame({"map": "", "sample": range(20), "at": "", "value": values})
                io.save_table(results / f"synthetic/scores/ncc/{method}/seed{seed}.parquet", table, better="higher")
        specs = pages.load("papers/baumgartner2018.yaml")["tables"]
        for table in ("variants", "steady"):
            lines = [
                {"row": cell.row, "column": cell.column, "seeds": len(seeds[cell.method]), "source": "generated"}
                for cell in pages.cells(specs[table])
                if cell.method in seeds and cell.metric == "ncc"
            ]
            io.save_table(folder / f"{table}.csv", pd.DataFrame(lines, columns=["row", "column", "seeds", "source"]))
        head = (
            f"# t\n\n- **Scale**: {scale}\n- **Data**: synthetic, boxes\n- **Machine**: {name}\n- **Training**: 1\n\n"
        )
        io.save_text(folder / "page.md", f"{head}## variants\n\nold\n\n{text}")
        status, said = script("record", folder, "--out", tmp_path / "measured", "--name", name)
        assert status == 0, said
        return tmp_path / "measured" / f"{name}.md"

    return record


@pytest.fixture
def pool(script, tmp_path):
    def run(*records, page="measured/all.md"):
        status, text = script("pool", "papers/baumgartner2018.yaml", *records, "--page", tmp_path / page)
        return status, text if status else (tmp_path / page).read_text()

    return run


def test_seeds_of_two_runs_make_the_table_of_one_run_with_all(records, pool, script, tmp_path):
    one, two = records("one", {"vagan": [0], "vagan_b": [0]}), records("two", {"vagan": [2, 1], "vagan_d10": [1]})
    status, text = pool(one, two)
    assert status == 0, text
    whole = records("whole", {"vagan": [0, 1, 2], "vagan_b": [0], "vagan_d10": [1]})
    assert (pool(whole)[1]).partition("## ")[2] == text.partition("## ")[2]
    assert "old" not in text
    values = [np.random.default_rng([0, seed]).uniform(size=20) for seed in range(3)]
    spread = np.sqrt(np.mean(np.square([v.std() for v in values])))
    means = [v.mean() for v in values]
    assert f"| A | {np.mean(means):.2f} ± {spread:.2f} (± {np.std(means, ddof=1):.2f}) | 0, 1, 2 |" in text
    assert re.search(r"\| D, λ = 10 \| [^|]+ \| 1 \|", text), "as many as B has, and not the same"
    assert "B, NCC: 1 of 20 scores do not exist and are left out" in text
    assert "| C |" not in text, "nothing of it was measured"
    table = pd.read_csv(tmp_path / "measured" / "all.csv").set_index(["table", "row"])
    assert table.loc[("variants", "A"), "ours"] == pytest.approx(np.mean(means))
    assert table.loc[("variants", "A"), "seeds"] == 3
    assert set(table["scale"]) == {"paper"}


def test_a_page_says_which_run_each_seed_is_of(records, pool):
    text = pool(records("one", {"vagan": [0]}), records("two", {"vagan": [0, 1]}), records("three", {"vagan": [1]}))[1]
    assert text.count("- **Data**: synthetic, boxes") == 1
    assert "- **Run** [one](one.md): seeds 0; machine: one; time of the whole scale: not recorded; training: 1" in text
    assert "- **Run** [two](two.md): seeds 1; machine: two" in text
    assert "- **Run** [three](three.md): seeds that are all in another record; machine: three" in text
    assert "is in two records" not in text, "they agree"


def test_a_seed_that_was_measured_twice_counts_once_and_disagreement_is_said(records, pool):
    one, two = records("one", {"vagan": [0]}), records("two", {"vagan": [0]}, shift=0.25)
    mean = np.random.default_rng([0, 0]).uniform(size=20).mean()
    text = pool(one, two)[1]
    said = f"is in two records: {mean:.3f} in one counts, {mean + 0.25:.3f} in two does not."
    assert f"- Seed 0 of synthetic, ncc, vagan {said}" in text
    assert re.search(rf"\| A \| {mean:.2f} ± \d\.\d\d \|", text)


def test_figures_and_claims_are_of_the_first_record_that_has_them(records, pool):
    one = records("one", {"vagan": [0]}, text="## Claims\n\nfirst\n\n### centre\n\n## Settings that depart\n\nx 1\n")
    two = records("two", {"vagan": [1]}, text="## Claims\n\nsecond\n\n## figure4\n\nmaps\n")
    text = pool(one, two)[1]
    assert "## Claims\n\nOf [one](one.md).\n\nfirst\n\n### centre\n\n## figure4\n\nOf [two](two.md).\n\nmaps" in text
    assert "second" not in text
    assert "Settings" not in text


@pytest.mark.parametrize(("mean", "verdict"), [(0.985, "holds"), (0.5, "does not hold")])
def test_a_claim_about_two_datasets_is_checked_where_each_is_of_another_record(records, pool, mean, verdict):
    of_datasets = {"synthetic": (records("one", {"vagan": [0]}), 0.98), "synthetic_fixed": (records("two", {}), mean)}
    for dataset, (page, value) in of_datasets.items():
        said = {"dataset": dataset, "metric": "ncc", "method": "vagan_steady", "at": "", "seed": 0, "mean": value}
        known = {"spread": 0.02, "n": 20, "missing": 0, "repeats": False, "several": False, "better": "higher"}
        path = page.with_name(f"{page.stem}-seeds.csv")
        pd.concat([pd.read_csv(path), pd.DataFrame([{**said, **known, "source": "generated"}])]).to_csv(
            path, index=False
        )
    one, two = (page for page, _ in of_datasets.values())
    text = pool(one, two)[1]
    assert f"### jitter\n\nWhether the second box is jittered has no notable influence. **{verdict}**" in text
    assert f"| With jitter | 0.98 ± 0.02 | about without | {mean:.2f} ± 0.02 |" in text
    assert f"{int(verdict == 'holds')} of 1 claim holds" in text
    assert "### jitter" not in pool(one)[1]


def test_a_table_of_floors_alone_is_no_table(records, pool):
    one = records("one", {"intensity": [0]})
    assert "scores of none of the methods in the tables of papers/baumgartner2018.yaml" in pool(one)[1]
    text = pool(one, records("two", {"vagan_b": [0]}))[1]
    assert "## variants" in text
    assert "## steady" not in text, "of which only the floor is there"


def test_records_of_two_scales_are_not_put_together(records, pool):
    status, text = pool(records("one", {"vagan": [0]}), records("two", {"vagan": [1]}, scale="quick"))
    assert status == 1
    assert "one.md is of scale paper and" in text
    assert "two.md of quick: put records of one scale together" in text


def test_a_record_does_not_take_the_place_of_such_a_page(records, pool, script, tmp_path):
    pool(records("one", {"vagan": [0]}))
    folder = tmp_path / "one" / "results" / "paper" / "papers" / "baumgartner2018"
    status, said = script("record", folder, "--out", tmp_path / "measured", "--name", "all")
    assert status == 1
    assert "all.md is a page of several records, by pool.py; call this one something else: --name" in said


def test_scores_that_are_not_in_the_table_are_not_recorded(records, script, tmp_path):
    records("one", {"vagan": [0]})
    folder = tmp_path / "one" / "results" / "paper"
    first = folder / "synthetic/scores/ncc/vagan/seed0.parquet"
    io.save_table(first.with_name("seed7.parquet"), io.load_table(first))
    status, said = script("record", folder / "papers" / "baumgartner2018", "--out", tmp_path / "measured")
    assert status == 1
    assert "has 1 seeds of 'A" in said
    assert "but there are scores of 2 in" in said


def test_what_cannot_be_put_together_is_named(records, pool, tmp_path):
    one = records("one", {"vagan": [0]})
    assert "one.md is one of the records; give the page of all another name" in pool(one, page="measured/one.md")[1]
    assert "one.md has to be a .md in" in pool(one, page="elsewhere/all.md")[1]
    assert "two.md is missing; write it with record.py" in pool(tmp_path / "measured" / "two.md")[1]
    (tmp_path / "measured" / "one-seeds.csv").unlink()
    assert "one.md was recorded without it; record that run again" in pool(one)[1]
