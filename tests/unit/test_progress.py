"""Progress: a line a minute in a log, a bar on a terminal, and slices that cover everything once."""

import io

import pytest

from evidence import progress
from evidence.progress import Progress, chunks


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Time that only goes on when it is told to."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


def test_a_log_gets_a_line_a_minute_and_one_at_the_end(clock):
    log = io.StringIO()
    count = Progress("training", 100, stream=log)
    for _ in range(100):
        clock.now += 2.5
        count.advance(note="loss 0.5")
    count.close()
    lines = log.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [f"training: {n} of 100" for n in (24, 48, 72, 96, 100)]
    assert lines[0] == "training: 24 of 100, 0.4/s, 0:03:10 left  loss 0.5"
    assert lines[-1] == "training: 100 of 100, 0.4/s, 0:00:00 left  loss 0.5"


def test_the_rate_counts_from_where_a_run_was_resumed(clock):
    count = Progress("training", 100, start=90, stream=io.StringIO())
    assert count.line() == "training: 90 of 100, 0/s, ? left"
    clock.now += 10
    count.advance(5)
    assert count.line() == "training: 95 of 100, 0.5/s, 0:00:10 left"
    clock.now += 6 * 3600
    assert count.line().endswith(" 6:00:10 left")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0:00:00"), (59.6, "0:01:00"), (3599.0, "0:59:59"), (90_061.0, "25:01:01"), (float("inf"), "?")],
)
def test_a_clock_for_people(seconds, text):
    assert progress._clock(seconds) == text


def test_a_terminal_gets_a_bar_and_no_lines():
    terminal = Terminal()
    count = Progress("training", 4, start=1, stream=terminal)
    count.advance(3, note="loss 0.5")
    count.close()
    assert "\n" not in terminal.getvalue().rstrip("\n")
    assert "training" in terminal.getvalue()
    assert "4/4" in terminal.getvalue()


@pytest.mark.parametrize(("count", "size"), [(0, 3), (1, 3), (3, 3), (7, 3), (7, 100), (6, 1)])
def test_chunks_cover_everything_once_and_in_order(count, size):
    found = list(chunks(count, size, "explaining"))
    assert [n for part in found for n in range(part.start, part.stop)] == list(range(count))
    assert all(0 < part.stop - part.start <= size for part in found)


def test_chunks_report_to_standard_error(capsys):
    list(chunks(7, 3, "explaining"))
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("explaining: 7 of 7, ")
