"""Tables, ratio and figures of Dravid et al. (2022), from phantoms of brains and chests, on next to nothing."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.workflow.conftest import smoke


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    """The folder of the paper's page, in a checkout of its own."""
    folder = smoke(root, tmp_path_factory.mktemp("latent") / "evidence", "dravid2022")
    return folder / "results" / "smoke" / "papers" / "dravid2022"


@pytest.fixture(scope="module")
def asked(root):
    """Tables, figures and claims that are made unless others are asked for."""
    spec = yaml.safe_load((root / "papers" / "dravid2022.yaml").read_text())
    return {
        section: {name: entry for name, entry in spec[section].items() if not entry.get("optional")}
        for section in ("tables", "figures", "claims")
    }


def test_every_table_and_figure_of_the_paper_is_made(made, asked):
    page = (made / "page.md").read_text()
    for name in asked["figures"]:
        assert f"({name}.png)" in page
        assert (made / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    for name, spec in asked["tables"].items():
        table = pd.read_csv(made / f"{name}.csv")
        assert set(table["row"]) == set(next(iter(spec["rows"].values())))
        assert set(table["source"]) == {"phantom"}
        assert spec["caption"] in page
    claims = pd.read_csv(made / "claims.csv")
    assert set(claims["claim"]) == set(asked["claims"])


def test_the_page_says_what_the_published_numbers_rest_on(made):
    page = (made / "page.md").read_text()
    for words in ("88 are also training images", "public ones stand in for them", "an image that is replaced whole"):
        assert words in page
    assert "0.992 ± 0.002" in page


def test_what_rests_on_an_inversion_starts_from_its_latents(made):
    folder = made.parents[1] / "brain_mri" / "maps"
    found = pd.read_parquet(folder / "inversion" / "seed0" / "samples.parquet")
    assert {"latents", "mse", "bce", "before", "after", "iterations", "valid"} <= set(found)
    assert np.stack(found["latents"]).shape == (len(found), 3 + 2)
    frames = np.load(folder / "traversal" / "seed0" / "maps.npy", mmap_mode="r")
    names = json.loads(pd.read_parquet(folder / "traversal" / "seed0" / "samples.parquet").attrs["maps"])
    assert names == [f"f{number:02}" for number in range(11)]
    reconstructions = np.load(folder / "inversion" / "seed0" / "maps.npy", mmap_mode="r")
    np.testing.assert_allclose(frames[:, names.index("f10")], reconstructions[:, 0], atol=1e-4)


def test_images_that_cannot_be_inverted_are_counted_beneath_the_tables(made):
    folder = made.parents[1] / "brain_mri"
    valid = pd.read_parquet(folder / "maps" / "inversion" / "seed0" / "samples.parquet")["valid"]
    scores = pd.read_parquet(folder / "scores" / "monotony" / "traversal" / "seed0.parquet")
    lacking = scores[scores["value"].isna()]["sample"].nunique()
    assert lacking == (~valid.astype(bool)).sum()
    assert ("do not exist" in (made / "traversals.md").read_text()) == (lacking > 0)
