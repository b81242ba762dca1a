"""Tables and figures of David et al. (2019), from phantoms of digits and faces, on next to nothing."""

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.workflow.conftest import smoke


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    """The folder of the paper's page, in a checkout of its own."""
    folder = smoke(root, tmp_path_factory.mktemp("anchors") / "evidence", "david2019")
    return folder / "results" / "smoke" / "papers" / "david2019"


@pytest.fixture(scope="module")
def spec(root):
    """Tables, figures and claims that are made unless others are asked for."""
    paper = yaml.safe_load((root / "papers" / "david2019.yaml").read_text())
    return {
        section: {name: entry for name, entry in paper[section].items() if not entry.get("optional")}
        for section in ("tables", "figures", "claims")
    }


def test_every_table_and_figure_of_the_paper_is_made(made, spec):
    page = (made / "page.md").read_text()
    for name in spec["figures"]:
        assert f"({name}.png)" in page
        assert (made / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    for name, table in spec["tables"].items():
        found = pd.read_csv(made / f"{name}.csv")
        assert set(found["row"]) == set(next(iter(table["rows"].values())))
        assert set(found["source"]) == {"phantom"}
        assert table["caption"] in page
    assert set(pd.read_csv(made / "claims.csv")["claim"]) == set(spec["claims"])


def test_the_page_says_what_the_published_numbers_rest_on(made):
    page = (made / "page.md").read_text()
    for words in ("changes two things at once", "The released search stops at three segments", "not independent"):
        assert words in page
    table = pd.read_csv(made / "table1.csv").set_index(["row", "column"])
    assert table.loc[("Diverse Encoder", "minutes"), "published"] == 1.62
    assert table["ours"].notna().all()


def test_the_ten_digits_are_explained_and_each_sampler_shows_its_own_samples(made):
    maps = made.parents[1] / "mnist" / "maps"
    index = pd.read_parquet(made.parents[1] / "mnist" / "data" / "explained.parquet")
    assert sorted(index[index["explain"]]["label"]) == list(range(10))
    names = pd.read_parquet(maps / "encoded" / "seed0" / "samples.parquet").attrs["maps"]
    one = yaml.safe_load(names).index("one")
    encoded, stitched = (
        np.load(maps / label / "seed0" / "maps.npy", mmap_mode="r") for label in ("encoded", "stitched")
    )
    shown = yaml.safe_load(names).index("shown")
    assert np.array_equal(encoded[:, shown], stitched[:, shown]), "the same segments, whoever draws the rest"
    kept = encoded[:, shown] == 1
    assert np.array_equal(encoded[:, one][kept], stitched[:, one][kept])
    assert not np.array_equal(encoded[:, one], stitched[:, one])


def test_what_a_search_cost_is_known_by_trial(made):
    table = pd.read_parquet(made.parents[1] / "mnist" / "maps" / "encoded" / "seed0" / "samples.parquet")
    assert len(np.stack(table["trial_images"])[0]) == 1
    assert (np.stack(table["trial_seconds"]) > 0).all()
    scores = pd.read_parquet(made.parents[1] / "mnist" / "scores" / "trials" / "encoded" / "seed0.parquet")
    assert {"minutes", "cpu", "images", "precision", "fresh", "size", "area", "holds", "ended"} <= set(scores["at"])
