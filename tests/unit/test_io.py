"""Files are whole or not there; what cannot be used is refused by its name."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evidence import io
from evidence.errors import BadInput

# --- written aside and moved into place -------------------------------------------------------------------------------


def test_a_file_is_not_there_before_it_is_whole(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    with io.replacing(path) as aside:
        assert (aside.parent, aside.suffix) == (path.parent, ".txt")
        aside.write_text("half")
        assert not path.exists()
        aside.write_text("whole")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [None, "old"])
def test_a_block_that_ends_badly_leaves_all_as_it_was(tmp_path, before, error):
    path = tmp_path / "a.txt"
    if before:
        path.write_text(before)

    def write():
        with io.replacing(path) as aside:
            aside.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == ([("a.txt", before)] if before else [])


def test_a_block_that_writes_nothing_is_an_error_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), io.replacing(path):
        pass
    assert path.read_text() == "old"


def test_two_processes_write_aside_under_two_names(tmp_path, monkeypatch):
    with io.replacing(tmp_path / "a.txt") as ours:
        ours.write_text("ours")
        monkeypatch.setattr(os, "getpid", lambda: 1)
        with io.replacing(tmp_path / "a.txt") as theirs:
            assert theirs != ours
            theirs.write_text("theirs")
    assert (tmp_path / "a.txt").read_text() == "ours"


# --- arrays -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.uint8])
@pytest.mark.parametrize("shape", [(3, 1, 7, 8), (2, 3, 7, 8, 9), (0, 1, 7, 8)])
def test_an_array_comes_back_as_a_read_only_memory_map(tmp_path, kind, shape):
    array = np.random.default_rng(0).uniform(0, 9, shape).astype(kind)
    io.save_array(tmp_path / "a.npy", array.swapaxes(0, -1).copy().swapaxes(0, -1))  # not contiguous
    found = io.load_array(tmp_path / "a.npy")
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    assert found.dtype == kind
    np.testing.assert_array_equal(found, array)


def whole(tmp_path):
    io.save_array(tmp_path / "a.npy", np.zeros((3, 7, 8), np.float32))
    return (tmp_path / "a.npy").read_bytes()


@pytest.mark.parametrize("keep", [0, 5, 60, 200, -1])
def test_a_truncated_array_is_refused_by_its_name(tmp_path, keep):
    path = tmp_path / "a.npy"
    path.write_bytes(whole(tmp_path)[:keep])
    with pytest.raises(BadInput, match="a.npy is not a whole .npy file .*; delete it and make it again"):
        io.load_array(path)


def test_what_is_no_array_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(BadInput, match="not a whole .npy file"):
        io.load_array(path)
    with open(path, "wb") as file:
        np.savez(file, a=np.zeros(3))
    with pytest.raises(BadInput, match="not a whole .npy file"):
        io.load_array(path)


@pytest.mark.parametrize("load", [io.load_array, io.load_truth, io.load_table, io.load_json, io.load_manifest])
@pytest.mark.parametrize("end", ["npy", "parquet", "csv", "json"])
def test_what_is_missing_is_refused_by_its_name(tmp_path, load, end):
    with pytest.raises(BadInput, match=rf"absent.{end} is missing; make it first, or correct the path"):
        load(tmp_path / f"absent.{end}")


def test_a_truth_without_samples_is_none(tmp_path):
    io.save_array(tmp_path / "truth.npy", np.zeros((0, 1, 7, 8), np.uint8))
    assert io.load_truth(tmp_path / "truth.npy") is None
    io.save_array(tmp_path / "truth.npy", np.ones((2, 1, 7, 8), np.uint8))
    np.testing.assert_array_equal(io.load_truth(tmp_path / "truth.npy"), np.ones((2, 1, 7, 8)))


def test_one_of_several_maps_is_read_by_its_name(tmp_path):
    maps = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    path = tmp_path / "maps.npy"
    io.save_array(path, maps)
    io.save_table(tmp_path / "samples.parquet", pd.DataFrame({"sample": [0, 1]}), maps='["a", "b", "c"]')
    np.testing.assert_array_equal(io.load_maps(f"{path}#b"), maps[:, 1:2])
    with pytest.raises(BadInput, match=r"has no map 'd'; there is: a, b, c; name one with .*maps.npy#NAME"):
        io.load_maps(f"{path}#d")
    assert io.map_names(path) == ["a", "b", "c"]
    with pytest.raises(BadInput, match="has no map ''"):
        io.load_maps(path)
    io.save_table(tmp_path / "samples.parquet", pd.DataFrame({"sample": [0, 1]}), maps='["a", "b"]')
    with pytest.raises(BadInput, match="holds 3 maps an image, and samples.parquet beside it names 2; draw again"):
        io.map_names(path)
    io.save_array(path, maps[:, :1])
    np.testing.assert_array_equal(io.load_maps(path), maps[:, :1])
    assert io.map_names(path) == [""]


def test_the_scores_of_one_of_several_maps_are_read_by_its_name(tmp_path):
    path = tmp_path / "scores.parquet"
    table = pd.DataFrame({"map": ["a", "b", "b"], "sample": [0, 0, 1], "at": "", "value": [0.1, 0.2, 0.3]})
    io.save_table(path, table, better="lower")
    found = io.load_scores(f"{path}#b")
    assert found["value"].tolist() == [0.2, 0.3]
    assert found.attrs["better"] == "lower"
    for name in ("c", ""):
        with pytest.raises(BadInput, match=f"no scores of a map '{name}'; there is: a, b"):
            io.load_scores(f"{path}#{name}")
    io.save_table(path, table.assign(map=""))
    assert len(io.load_scores(path)) == 3
    with pytest.raises(BadInput, match="no scores of a map 'b'; its only map has no name"):
        io.load_scores(f"{path}#b")
    io.save_table(path, table.drop(columns="map"))
    with pytest.raises(BadInput, match="delete it and score again"):
        io.load_scores(path)


# --- tables and JSON --------------------------------------------------------------------------------------------------

TABLE = pd.DataFrame({"subject": ["0012", "7"], "value": [0.1, np.nan], "label": [0, 1], "flag": [True, False]})


def test_parquet_keeps_types_and_facts(tmp_path):
    io.save_table(tmp_path / "a.parquet", TABLE, method="cam", steps=3)
    found = io.load_table(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(found, TABLE)
    assert found.attrs == {"method": "cam", "steps": 3}
    assert TABLE.attrs == {}, "the table that was handed in stays as it was"


def test_csv_keeps_words_that_look_like_nothing_and_words_that_are_asked_for(tmp_path):
    table = pd.DataFrame({"name": ["NA", "null", ""], "number": ["007", "1e3", "8"]})
    io.save_table(tmp_path / "a.csv", table)
    found = io.load_table(tmp_path / "a.csv", text=["number", "absent"])
    assert found["name"].fillna("").tolist() == ["NA", "null", ""]
    assert found["number"].tolist() == ["007", "1e3", "8"]


def test_a_column_of_words_may_be_empty(tmp_path):
    io.save_table(tmp_path / "a.csv", pd.DataFrame({"number": [1, 2], "subtype": ["", ""]}))
    assert io.load_table(tmp_path / "a.csv", text=["subtype"])["subtype"].fillna("").tolist() == ["", ""]


@pytest.mark.parametrize(
    ("end", "content"),
    [("parquet", b""), ("parquet", b"PAR1 half"), ("parquet", b"a,b"), ("csv", b""), ("csv", b"\xff\xfe,\x00\n\xff")],
)
def test_a_broken_table_is_refused_by_its_name(tmp_path, end, content):
    path = tmp_path / f"a.{end}"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=f"a.{end} cannot be read as a table .*; delete it and make it again"):
        io.load_table(path)


def test_json_there_and_back(tmp_path):
    facts = {"ä": [1, 2.5], "a": {"path": Path("x")}}
    io.save_json(tmp_path / "a.json", facts)
    assert io.load_json(tmp_path / "a.json") == {"a": {"path": "x"}, "ä": [1, 2.5]}
    assert io.as_json({"b": 1, "a": 2}) == io.as_json({"a": 2, "b": 1})
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(BadInput, match="a.json is not whole JSON"):
        io.load_json(tmp_path / "a.json")


# --- manifests --------------------------------------------------------------------------------------------------------


@pytest.fixture
def raw(tmp_path):
    """Five units, the last of two files; unit and file names that a CSV reader would take for numbers."""
    units = {}
    for number in range(5):
        file = tmp_path / "raw" / f"00{number}" / "1"
        file.parent.mkdir(parents=True)
        file.write_text(f"content {number}")
        units[f"00{number}"] = [file]
    units["004"].append(tmp_path / "raw" / "004" / "mask")
    units["004"][1].write_text("mask")
    io.save_manifest(tmp_path / "manifest.csv", tmp_path / "raw", units, url="https://example.org")
    return tmp_path


def test_a_manifest_lists_unit_path_checksum_and_size(raw):
    manifest = io.load_manifest(raw / "manifest.csv")
    assert manifest["unit"].tolist() == ["000", "001", "002", "003", "004", "004"]
    assert manifest["path"].tolist() == ["000/1", "001/1", "002/1", "003/1", "004/1", "004/mask"]
    assert manifest["bytes"].tolist() == [9] * 5 + [4]
    assert set(manifest["url"]) == {"https://example.org"}
    for row in manifest.itertuples():
        assert row.sha256 == io.sha256(raw / "raw" / row.path)
        assert io.checked(raw / "raw", manifest, row.unit)[0] == raw / "raw" / row.unit / "1"
    assert len(io.checked(raw / "raw", manifest, "004")) == 2


def test_a_file_that_changed_is_refused_by_its_name(raw):
    manifest = io.load_manifest(raw / "manifest.csv")
    (raw / "raw" / "002" / "1").write_text("content 3")
    for unit in ("000", "001", "003", "004"):
        io.checked(raw / "raw", manifest, unit)
    with pytest.raises(BadInput, match=r"raw/002/1 is not the file that the manifest recorded \(its sha256 differs\)"):
        io.checked(raw / "raw", manifest, "002")


def test_a_file_that_is_gone_is_refused_by_its_name(raw):
    manifest = io.load_manifest(raw / "manifest.csv")
    (raw / "raw" / "004" / "mask").unlink()
    with pytest.raises(BadInput, match="raw/004/mask stands in the manifest but not on disk"):
        io.checked(raw / "raw", manifest, "004")


def test_what_is_no_manifest_is_refused(tmp_path):
    io.save_table(tmp_path / "a.csv", pd.DataFrame({"unit": ["a"], "size": [1]}))
    with pytest.raises(BadInput, match="a.csv is no manifest: it lacks path, sha256"):
        io.load_manifest(tmp_path / "a.csv")
    with pytest.raises(BadInput, match="holds no file"):
        io.save_manifest(tmp_path / "b.csv", tmp_path, {})


def test_parts_in_order_are_the_manifest_in_order():
    """Each unit is in one part, however many parts there are; no part is more than one longer than another."""
    for seed in range(50):
        random = np.random.default_rng(seed)
        count, parts = int(random.integers(0, 30)), int(random.integers(1, 40))
        units = [f"{n:03d}" for n in random.permutation(count)]
        manifest = pd.DataFrame({"unit": np.repeat(units, random.integers(1, 4, count)) if count else []})
        found = [io.part_of(manifest, part, parts) for part in range(parts)]
        assert [unit for part in found for unit in part] == units
        assert max(map(len, found)) - min(map(len, found)) <= 1
        assert all(isinstance(unit, str) for part in found for unit in part)
