"""The commit that stands in results."""

import os
import shutil
import subprocess

import pytest

from evidence import provenance


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The package in a folder of its own, out of reach of the checkout and of a git hook's environment."""
    (tmp_path / "evidence").mkdir()
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "evidence" / "provenance.py"))
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def git(folder, *words):
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.skipif(not shutil.which("git"), reason="there is no git here")
def test_a_commit_is_named_and_a_change_since_is_a_plus(elsewhere):
    git(elsewhere, "init")
    file = elsewhere / "evidence" / "a.py"
    file.write_text("1")
    git(elsewhere, "add", ".")
    git(elsewhere, "commit", "-m", "first")
    name = git(elsewhere, "rev-parse", "HEAD")[:10]
    assert provenance.commit.__wrapped__() == name
    (elsewhere / "results.txt").write_text("untracked files are no change")
    assert provenance.commit.__wrapped__() == name
    file.write_text("2")
    assert provenance.commit.__wrapped__() == f"{name}+"


def test_outside_of_a_checkout_it_is_unknown(elsewhere):
    assert provenance.commit.__wrapped__() == "unknown"


def test_without_git_it_is_unknown(elsewhere, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.commit.__wrapped__() == "unknown"
