"""What a user sees of training: nothing, or plain lines, on standard error."""

import pytest

from unspool.config import ValidationRound
from unspool.training.progress import describe_nats, show_progress
from unspool.training.trainer import Progress

ROUND = ValidationRound(50, 1.25, 1.5)


def test_nats_are_described_as_far_as_they_are_known():
    assert describe_nats(Progress()) == "compiling"
    assert describe_nats(Progress(update=7)) == "update 7"
    assert describe_nats(Progress(rounds=[ROUND])) == "nats a step: 1.250 train, 1.500 held out"
    memorised = [ValidationRound(50, 1.25, None)]
    assert describe_nats(Progress(rounds=memorised)) == "nats a step: 1.250 train"


@pytest.mark.parametrize("verbose", [None, False])
def test_nothing_is_shown_without_a_terminal_or_if_it_is_off(verbose, capsys):
    with show_progress(100, verbose) as watch:
        watch(Progress(update=50, rounds=[ROUND]))
    assert capsys.readouterr() == ("", "")


def test_plain_lines_say_where_training_stands_and_why_it_ended(capsys):
    """One for a round, no more than one in two seconds, and one for the end."""
    with show_progress(100, True) as watch:
        for progress in (Progress(), Progress(update=50, rounds=[ROUND]), Progress(update=55, rounds=[ROUND])):
            watch(progress)
        watch(Progress(update=60, rounds=[ROUND] * 2))
        watch(Progress(update=99, rounds=[ROUND] * 3, phase="done", stopped="decayed"))
    first, last = capsys.readouterr().err.splitlines()
    nats = "nats a step: 1.250 train, 1.500 held out"
    assert " ".join(first.split()) == f"0 s update 50 of at most 100 {nats}"
    assert last.endswith("1.500 held out -- done: decayed")
