"""Raw files from the network: resumed where a connection broke, compared with their checksum, unpacked with care."""

import os
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pooch

from evidence.datasets import Download
from evidence.errors import BadInput
from evidence.progress import Progress

TRIES = 5  # connections, before the command gives up; the next one goes on from there
TIMEOUT = 60  # seconds without a byte
MIB = 2**20


def obtain(downloads: Sequence[Download], home: Path) -> None:
    """Bring to ``home`` what is not there yet.

    A broken download lies there as ``.part`` and is gone on with. An archive is deleted once it is unpacked.

    Raises:
        BadInput: the network fails again and again, or what came is not what was expected; that is kept aside.
    """
    for each in downloads:
        if (home / each.path).exists():
            continue
        if not each.is_archive:
            download(each, home / each.path)
            continue
        archive = home / each.name
        if not archive.exists():
            download(each, archive)
        unpack(archive, home, each.path)
        archive.unlink()


def download(wanted: Download, file: Path) -> None:
    """Get one file, whole and with the right checksum, or not at all."""
    part = file.with_name(f"{file.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    reason: Exception | None = None
    for _ in range(TRIES):
        if size_of(part) >= wanted.size:
            break
        try:
            _more(wanted, part)
        except OSError as error:  # requests' own errors are such, too
            reason = error
    if size_of(part) < wanted.size:
        raise BadInput(
            f"{wanted.url} broke off after {size_of(part) / MIB:,.0f} of {wanted.size / MIB:,.0f} MiB "
            f"({reason or 'the server closed the connection'}); the same command goes on from there. Without a "
            "network, put the unpacked files on this machine and point the dataset at their folder"
        )
    algorithm, _, expected = wanted.checksum.partition(":")
    found = pooch.file_hash(str(part), alg=algorithm)
    if found != expected:
        wrong = file.with_name(f"{file.name}.wrong-{found[:8]}")
        os.replace(part, wrong)
        raise BadInput(
            f"{wanted.url} is not the file that was expected: its {algorithm} is {found}, not {expected}. What came is "
            f"kept as {wrong}; the same command downloads it again, or point the dataset at a folder of your own"
        )
    os.replace(part, file)


def _more(wanted: Download, part: Path) -> None:
    """Append what is missing. A server that knows no ranges sends all: then the file starts anew."""
    have = size_of(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    bar = _Bar(wanted, have)
    with open(part, "ab") as file:
        pooch.HTTPDownloader(progressbar=bar, headers=headers, timeout=TIMEOUT)(wanted.url, file, None)
    if have and size_of(part) > wanted.size:
        os.truncate(part, 0)
        raise ConnectionError("the server cannot go on in the middle of a file")


class _Bar:
    """What pooch asks of a progress bar, in mebibytes."""

    def __init__(self, wanted: Download, have: int):
        self.total, self.bytes, self.full = 0, have, False
        self.progress = Progress(f"{wanted.name}, MiB", wanted.size // MIB, have // MIB)

    def update(self, count: int) -> None:
        before, self.bytes = self.bytes // MIB, self.bytes + count
        if self.bytes // MIB > before and not self.full:
            self.progress.advance(self.bytes // MIB - before)

    def reset(self) -> None:
        """Pooch empties and fills a bar at the end; this one has counted."""
        self.full = True

    def close(self) -> None:
        self.progress.close()


def unpack(archive: Path, home: Path, folder: str) -> None:
    """Unpack the one folder that a tar archive holds; nothing is at its place before all of it is.

    Raises:
        BadInput: it is no archive, or a member would land outside of the folder.
    """
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=home) as aside:
        try:
            with tarfile.open(archive) as members:
                members.extractall(aside, filter="data")
        except (tarfile.TarError, EOFError, OSError) as error:
            raise BadInput(
                f"{archive} cannot be unpacked ({error}); make room, or delete it and the next run gets it again"
            ) from error
        if not (Path(aside) / folder).is_dir():
            raise BadInput(f"{archive} holds no folder {folder}; is it the right archive?")
        os.replace(Path(aside) / folder, home / folder)


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
