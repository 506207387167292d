"""Options are checked when they are made; an error names what there is."""

import pytest

import unspool as us
from unspool.errors import OptionError


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: us.Training(curve="sigmoid"), r"Training\(curve='sigmoid'\): expected 'linear', found 'sigmoid'"),
        (lambda: us.Training(shards=3), r"Training\(shards=3\): expected 1 or 2 or 4, found 3"),
        (lambda: us.Network(context="all"), r"expected 'state\+step' or 'state', found 'all'"),
        (lambda: us.Training(epochs=0), r"Training\(epochs=0\): expected int >= 1, found 0"),
        (lambda: us.Training().but(epoch=1), r"Training: expected one of .*epochs.*, found 'epoch'"),
    ],
)
def test_an_option_that_there_is_not_is_refused_by_what_there_is(make, words):
    with pytest.raises(OptionError, match=words):
        make()
