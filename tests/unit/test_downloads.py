"""Downloads against a server of our own, which breaks off, forgets ranges, or sends something else."""

import hashlib
import io
import tarfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest

from evidence import downloads
from evidence.datasets import Download
from evidence.errors import BadInput

CONTENT = np.random.default_rng(0).bytes(200_000)


class Server:
    """Sends ``content``; ``breaks`` says after how many bytes each of the next answers breaks off."""

    def __init__(self):
        self.content, self.breaks, self.ranges, self.asked = CONTENT, [], True, []

    def handler(server):  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                server.asked.append(asked)
                start = int(asked[len("bytes=") : -1]) if asked and server.ranges else 0
                content = server.content[start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: server.breaks.pop(0)] if server.breaks else content)

            def log_message(self, *_):
                pass

        return Handler


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(downloads, "TIMEOUT", 5)
    server = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), server.handler())
    server.url = f"http://127.0.0.1:{http.server_port}/file.bin"
    thread = Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield server
    http.shutdown()
    http.server_close()


def wanted(server, content=CONTENT, path="file.bin"):
    return Download(server.url, len(content), f"sha256:{hashlib.sha256(content).hexdigest()}", path)


def test_a_file_comes_once(server, tmp_path):
    downloads.obtain([wanted(server)], tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    downloads.obtain([wanted(server)], tmp_path)
    assert server.asked == [None], "what is there is not asked for again"
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def test_a_broken_connection_is_taken_up_where_it_broke(server, tmp_path):
    server.breaks = [51_200, 30_720]
    downloads.obtain([wanted(server)], tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=51200-", "bytes=81920-"]


def test_the_next_command_goes_on_with_what_a_dead_one_left(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:123_456])
    downloads.obtain([wanted(server)], tmp_path)
    assert server.asked == ["bytes=123456-"]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_anew(server, tmp_path):
    server.ranges, server.breaks = False, [50_000]
    downloads.obtain([wanted(server)], tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_network_that_never_holds_says_how_far_it_came(server, tmp_path):
    server.breaks = [10_240] * downloads.TRIES
    with pytest.raises(BadInput, match="goes on from there") as caught:
        downloads.obtain([wanted(server)], tmp_path)
    assert server.url in str(caught.value)
    assert (tmp_path / "file.bin.part").stat().st_size == 10_240 * downloads.TRIES
    assert not (tmp_path / "file.bin").exists()


def test_no_server_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(BadInput, match=r"broke off after 0 of .* on this machine"):
        downloads.obtain([Download("http://127.0.0.1:9/x.bin", 5 * 2**20, "md5:0", "x.bin")], tmp_path)


@pytest.mark.parametrize("other", [CONTENT[::-1], CONTENT + b"more"], ids=["other bytes", "too many"])
def test_a_wrong_checksum_is_kept_aside_and_named(server, tmp_path, other):
    server.content = other
    with pytest.raises(BadInput, match="sha256 is") as caught:
        downloads.obtain([wanted(server)], tmp_path)
    (kept,) = tmp_path.iterdir()
    assert str(kept) in str(caught.value)
    assert kept.name.startswith("file.bin.wrong-")
    assert kept.read_bytes() == other
    server.content = CONTENT
    downloads.obtain([wanted(server)], tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def archive(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def of_archive(server, content, path="task"):
    server.content, server.url = content, server.url.replace("file.bin", "task.tar")
    return wanted(server, content, path)


def test_an_archive_becomes_its_folder(server, tmp_path):
    download = of_archive(server, archive(**{"task/a.txt": b"one", "task/deep/b.txt": b"two"}))
    downloads.obtain([download], tmp_path)
    assert (tmp_path / "task" / "deep" / "b.txt").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["task"], "the archive goes once it is unpacked"
    downloads.obtain([download], tmp_path)
    assert len(server.asked) == 1


@pytest.mark.parametrize("name", ["../outside.txt", "task/../../outside.txt", "/outside.txt"])
def test_an_archive_cannot_write_elsewhere(server, tmp_path, name):
    home = tmp_path / "home"
    download = of_archive(server, archive(**{"task/a.txt": b"one", name: b"bad"}))
    if name.startswith("/"):  # the leading slash is cut, so that it lands inside of what is thrown away
        downloads.obtain([download], home)
    else:
        with pytest.raises(BadInput, match="cannot be unpacked"):
            downloads.obtain([download], home)
        assert not (home / "task").exists()
    assert not list(tmp_path.rglob("outside.txt"))


def test_an_archive_that_is_none_and_one_without_the_folder(server, tmp_path):
    with pytest.raises(BadInput, match=r"task\.tar cannot be unpacked"):
        downloads.obtain([of_archive(server, CONTENT)], tmp_path)
    (tmp_path / "task.tar").unlink()
    with pytest.raises(BadInput, match="holds no folder other"):
        downloads.obtain([of_archive(server, archive(**{"task/a.txt": b"one"}), path="other")], tmp_path)
