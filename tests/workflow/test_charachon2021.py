"""Both tables and both figures of Charachon et al. (2021), from phantoms of brains and chests, on next to nothing."""

import json

import pandas as pd
import pytest

from tests.workflow.conftest import smoke

OURS = ("difference", "v1", "v2", "v2k")


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    """The folder of the paper's page, in a checkout of its own."""
    folder = smoke(root, tmp_path_factory.mktemp("unified") / "evidence", "charachon2021")
    return folder / "results" / "smoke" / "papers" / "charachon2021"


def test_both_tables_have_every_row_on_both_data(made):
    for data, at in (("brain", ("98", "99")), ("pneumonia", ("90", "95", "98"))):
        table = pd.read_csv(made / f"table1_{data}.csv")
        assert set(table["column"]) == {f"{name} / {p}" for name in ("IoU", "FNR (paper)") for p in at}
        assert table.groupby("column")["row"].nunique().eq(17).all()
        assert table["ours"].between(0, 1).all()
        oracle = table[table["row"] == "Oracle"].set_index("column")["ours"]
        for column, best in table.groupby("column")["ours"].max().items():
            if column.startswith("IoU"):
                assert best == oracle[column], "no map can do better than the truth"
        table = pd.read_csv(made / f"table2_{data}.csv")
        assert table["row"].nunique() == 15
        assert set(table["column"]) == {"ALL", "class 0", "class 1"}


def test_one_sweep_gives_four_maps_with_their_names(made):
    columns = {"before", "start", "adversary", "residue"}
    for kind in ("cyce", "syce"):
        samples = pd.read_parquet(made.parents[1] / f"tumour/maps/{kind}/seed0/samples.parquet")
        assert json.loads(samples.attrs["maps"]) == list(OURS)
        assert {"completeness", *columns} <= set(samples)
        scores = pd.read_parquet(made.parents[1] / f"tumour/scores/iou/{kind}/seed0.parquet")
        assert set(scores["map"]) == set(OURS)


def test_sagens_map_takes_no_sweep(made):
    samples = pd.read_parquet(made.parents[1] / "tumour/maps/sagen/seed0/samples.parquet")
    assert {"before", "start", "adversary", "residue"} <= set(samples)
    assert "completeness" not in samples
    assert pd.read_parquet(made.parents[1] / "tumour/scores/iou/sagen/seed0.parquet")["map"].eq("").all()


def test_the_page_has_figures_claims_and_both_kinds_of_phantoms(made):
    page = (made / "page.md").read_text()
    for picture in ("figure1_brain", "figure2_brain", "figure1_pneumonia", "figure2_pneumonia"):
        assert f"({picture}.png)" in page
        assert (made / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
    claims = pd.read_csv(made / "claims.csv")
    assert claims["claim"].nunique() == 22
    assert claims["holds"].isin([True, False]).all()
    assert page.count("phantoms") >= 2
