"""From scores to the verdict on each claim: what holds, on how many images, and nothing hidden."""

import numpy as np
import pandas as pd
import pytest
import yaml

from evidence import io, pages, tables
from evidence.scores import interval

VALUES = {  # dataset/method → seed → four images
    "d/high": {0: [0.8, 0.9, 1.0, 0.9], 1: [0.6, 0.7, 0.8, 0.7]},  # means 0.9 and 0.7
    "d/low": {0: [0.1, 0.2, 0.3, 0.2]},
    "d/skewed": {0: [0.1, 0.1, 0.1, 0.9]},  # a mean of 0.3, above 0.2 on one image
    "d/some": {0: [0.4, np.nan, 0.6, np.nan]},
    "d/none": {0: [np.nan] * 4},
    "e/high": {0: [0.7, 0.8, 0.9, 0.8]},
}
HIGH, LOW, SKEWED, SOME, NONE = ({"method": name} for name in ("high", "low", "skewed", "some", "none"))


@pytest.fixture
def judge(script, tmp_path):
    """Judge claims, ``name: {of: …, above: …}``; returns the tidy table and the text."""
    for place, seeds in VALUES.items():
        dataset, method = place.split("/")
        for seed, values in seeds.items():
            table = pd.DataFrame({"map": "", "sample": range(4), "at": "", "value": values})
            io.save_table(tmp_path / f"results/{dataset}/scores/ncc/{method}/seed{seed}.parquet", table)

    def run(**claims):
        shared = {"says": "A sentence.", "fixed": {"dataset": "d", "metric": "ncc"}}
        paper = {"title": "t", "reference": "r", "claims": {name: {**shared, **said} for name, said in claims.items()}}
        path = tmp_path / f"{'-'.join(claims)}.yaml"
        io.save_text(path, yaml.safe_dump(paper))
        pages.load.cache_clear()
        files = sorted((tmp_path / "results").rglob("*.parquet"))
        words = (
            "--results",
            tmp_path / "results",
            "--scores",
            *files,
            "--scale",
            "s",
            "--sources",
            "d=phantom",
            "e=real",
        )
        out = ("--csv", tmp_path / "claims.csv", "--md", tmp_path / "claims.md")
        status, text = script("judge", path, *claims, *words, *out)
        assert status == 0, text
        return pd.read_csv(tmp_path / "claims.csv"), (tmp_path / "claims.md").read_text()

    return run


def test_above_compares_means_and_counts_the_images(judge):
    table, text = judge(claim={"of": {"High": HIGH}, "above": {"Low": LOW}})
    (line,) = table.itertuples()
    assert (line.claim, line.member, line.relation, line.reference) == ("claim", "High", "above", "Low")
    assert line.ours == pytest.approx(0.8)
    assert line.ours_spread == pytest.approx(np.sqrt(0.02 / 4))
    assert line.seeds_spread == pytest.approx(np.std([0.9, 0.7], ddof=1))
    assert (line.seeds, line.theirs_seeds, line.n, line.images) == (2, 1, 4, 1)
    assert line.difference == pytest.approx(0.6)
    assert np.isnan(line.theirs_seeds_spread)
    assert np.isnan(line.within)
    assert line.holds
    assert (line.scale, line.source) == ("s", "phantom")
    assert "A sentence. **holds**" in text
    assert (
        "| High | 0.80 ± 0.07 (± 0.14) | above Low | 0.20 ± 0.07 | +0.60 | +0.60 to +0.60 | 100% of 4 | holds |" in text
    )
    assert "n = 4 scores a mean, 1 to 2 seeds; ± is over images, in brackets over the means of seeds; 95 %" in text


def test_a_mean_that_few_images_carry_does_not_hold(judge):
    table, text = judge(claim={"of": {"Skewed": SKEWED}, "above": {"Low": LOW}})
    assert table["difference"].item() == pytest.approx(0.1)
    assert table["images"].item() == 0.25
    assert not table["holds"].item()
    low, high = table[["low", "high"]].iloc[0]
    assert low < 0 < high
    between = f"{low:+.2f} to {high:+.2f}"
    assert f"| Skewed | 0.30 ± 0.35 | above Low | 0.20 ± 0.07 | +0.10 | {between} | 25% of 4 | does not hold |" in text
    assert judge(claim={"of": {"Low": LOW}, "below": {"Skewed": SKEWED}})[0]["images"].item() == 0.25


def test_the_other_side_may_be_a_number(judge):
    table, text = judge(claim={"of": {"High": HIGH, "Low": LOW}, "above": 0.5, "below": {"all": 1}})
    assert table["relation"].tolist() == ["above", "below"] * 2
    assert table["images"].tolist() == [1, 1, 0, 1]
    assert table["holds"].tolist() == [True, True, False, True]
    assert table["theirs_seeds"].tolist() == [0] * 4
    assert "**holds for some**" in text
    assert "| Low | 0.20 ± 0.07 | above | 0.50 | -0.30 |" in text
    assert "below all" in text


def test_about_is_within_the_larger_spread_over_images_or_what_the_claim_says(judge):
    near = {"of": {"e": {**HIGH, "dataset": "e"}}, "about": {"d": {**HIGH, "dataset": "d"}}}
    table, text = judge(claim=near)
    assert table["within"].item() == pytest.approx(np.sqrt(0.02 / 4))
    assert np.isnan(table["images"].item()), "two datasets have no image in common"
    assert table["holds"].item()
    assert "about is less than 0.07 off" in text
    assert "real images" in text
    far = {"of": {"High": HIGH}, "about": 0.75}
    assert judge(claim=far)[0]["holds"].item()
    assert not judge(claim={**far, "within": 0.04})[0]["holds"].item()
    assert judge(claim={**far, "within": 0.06})[0]["within"].item() == 0.06


def test_two_datasets_are_compared_by_their_means_alone(judge):
    table, _ = judge(claim={"of": {"e": {**HIGH, "dataset": "e"}}, "above": {"d": {**LOW, "dataset": "d"}}})
    assert table["holds"].item()
    assert np.isnan(table["images"].item())


def test_a_difference_is_of_the_images_that_both_sides_have(judge):
    """What only one side has may be the hard images, which the other gave up."""
    table, text = judge(claim={"of": {"Some": SOME}, "above": {"Skewed": SKEWED}})
    assert table["ours"].item() - table["theirs"].item() == pytest.approx(0.2)
    assert table["difference"].item() == pytest.approx(0.4), "of the first and the third"
    assert table["pairs"].item() == 2
    assert "100% of 2" in text


def test_scores_that_do_not_exist_are_counted_and_never_hold(judge):
    table, text = judge(some={"of": {"Some": SOME}, "above": {"Low": LOW}}, none={"of": {"None": NONE}, "about": 0.5})
    assert table["holds"].tolist() == [True, False]
    assert table["n"].tolist() == [2, 0]
    assert table["images"].tolist()[0] == 1, "of the images that have both"
    assert "2 scores do not exist and are left out" in text
    assert "| None | no scores | about | 0.50 |  |  |  | does not hold |" in text


def test_the_text_begins_with_what_holds_and_hides_nothing(judge):
    _, text = judge(
        first={"of": {"High": HIGH}, "above": 0.5, "how": "The mean is high."},
        second={"of": {"High": HIGH, "Low": LOW}, "above": 0.5},
        third={"of": {"Low": LOW}, "above": 0.5},
    )
    assert text.startswith("1 of 3 claims hold; second holds for some; third does not hold.\n")
    assert [line for line in text.splitlines() if line.startswith("### ")] == ["### first", "### second", "### third"]
    assert "The mean is high." in text


def test_a_claim_or_a_score_that_is_not_there_is_refused(judge, script, tmp_path):
    judge(claim={"of": {"High": HIGH}, "above": 0.5})
    words = ("--results", tmp_path / "results", "--scale", "s", "--csv", tmp_path / "x.csv", "--md", tmp_path / "x.md")
    status, text = script("judge", tmp_path / "claim.yaml", "clam", *words)
    assert status == 1
    assert "has no claim 'clam'; did you mean 'claim'?" in text
    status, text = script("judge", tmp_path / "claim.yaml", "claim", *words)
    assert status == 1
    assert "'High' has no scores: none of the given files lies in" in text
    assert not (tmp_path / "x.csv").exists()


def test_claims_are_kept_beside_the_tables(script, tmp_path):
    folder = tmp_path / "results" / "quick" / "papers" / "baumgartner2018"
    io.save_text(folder / "page.md", "# t\n\n- **Training**: x\n")
    io.save_table(folder / "table1.csv", pd.DataFrame({name: [1] for name in tables.COLUMNS}))
    io.save_table(folder / "claims.csv", pd.DataFrame({"claim": ["centre"], "source": ["generated"]}))
    status, text = script("record", folder, "--out", tmp_path / "out")
    assert status == 0, text
    assert pd.read_csv(tmp_path / "out" / "baumgartner2018-quick.csv").columns.tolist() == tables.COLUMNS
    assert pd.read_csv(tmp_path / "out" / "baumgartner2018-quick-claims.csv")["claim"].tolist() == ["centre"]


def test_the_interval_of_a_difference_is_that_of_its_images():
    """Of many images, that of the normal approximation; of paired ones, narrower than either side's own spread."""
    random = np.random.default_rng(3)
    shared, own = random.normal(0, 5, 400), random.normal(0.4, 1, 400)
    low, high = interval(pd.Series(shared + own - shared))
    error = own.std() / 20
    assert low == pytest.approx(own.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(own.mean() + 1.96 * error, abs=0.15 * error)
    assert interval(pd.Series([0.5, np.nan, 0.5])) == (0.5, 0.5)
    assert np.isnan(interval(pd.Series([0.5, np.nan]))).all()


def test_a_difference_is_shown_with_its_interval_where_images_can_be_compared(judge):
    table, text = judge(claim={"of": {"High": HIGH}, "above": {"Low": LOW}})
    (line,) = table.itertuples()
    assert line.low <= line.difference <= line.high
    assert f"| {line.difference:+.2f} | {line.low:+.2f} to {line.high:+.2f} |" in text
    assert "95 % of a paired bootstrap over images" in text
    table, text = judge(other={"of": {"High": HIGH}, "above": {"Elsewhere": {"dataset": "e", "method": "high"}}})
    assert table[["low", "high"]].isna().all(axis=None)
    assert "bootstrap" not in text
