"""Streams are functions of seed and purpose alone, and no two are the same."""

import doctest
import os
import subprocess
import sys

import numpy as np

from evidence import seeds
from evidence.seeds import rng, stream


def test_the_examples_are_true():
    found = doctest.testmod(seeds)
    assert found.attempted
    assert not found.failed


def test_streams_have_63_bits_and_use_all_of_them():
    found = [stream(seed, "step", i) for seed in range(20) for i in range(100)]
    assert len(set(found)) == len(found)
    assert all(0 <= value < 2**63 for value in found)
    ones = np.array([[value >> bit & 1 for bit in range(63)] for value in found]).mean(0)
    assert (abs(ones - 0.5) < 5 * 0.5 / len(found) ** 0.5).all()


def test_seed_purpose_and_place_all_count():
    words = [
        (0,),
        (1,),
        (0, "order"),
        (0, "step"),
        (0, "order", 1),
        (0, "order", 11),
        (0, "order", 1, 1),
        (1, "order", 1),
    ]
    assert len({stream(*word) for word in words}) == len(words)


def test_a_stream_is_the_same_in_every_process():
    """Python's own hash of words is not."""
    command = [sys.executable, "-c", "from evidence.seeds import stream; print(stream(3, 'order', 7), hash('order'))"]
    found = []
    for salt in "12":
        environment = {**os.environ, "PYTHONHASHSEED": salt, "PYTHONPATH": os.pathsep.join(sys.path)}
        found.append(
            subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
        )
    assert found[0][1] != found[1][1]
    assert {int(one) for one, _ in found} == {stream(3, "order", 7)}


def test_generators_are_those_of_the_stream_and_leave_the_ambient_one_alone():
    state = np.random.get_state()[1].copy()
    numbers = rng(3, "noise").normal(size=5)
    np.testing.assert_array_equal(numbers, np.random.default_rng(stream(3, "noise")).normal(size=5))
    assert not np.array_equal(numbers, rng(4, "noise").normal(size=5))
    np.testing.assert_array_equal(np.random.get_state()[1], state)
