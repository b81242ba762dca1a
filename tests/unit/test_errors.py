"""Near misses."""

import doctest

from evidence import errors
from evidence.errors import near


def test_the_examples_are_true():
    found = doctest.testmod(errors)
    assert found.attempted
    assert not found.failed


def test_the_nearest_miss_is_offered_and_else_all_there_is():
    words = {"penalty", "patience", "percentiles"}
    assert near("patienc", words) == "did you mean 'patience'?"
    assert near("penality", words) == "did you mean 'penalty'?"
    assert near("x", words) == "there is: patience, penalty, percentiles"
    assert near("x", iter(words)) == near("x", words)
    assert near("x", ()) == "there is: nothing"


def test_bad_input_is_a_value_error_so_that_libraries_understand_it():
    assert issubclass(errors.BadInput, ValueError)
