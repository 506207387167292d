"""An unknown option is refused with the closest one, or with the new name of an old one."""

import pytest

import unspool as us
from unspool.errors import OptionError
from unspool.jobs import GenerationOptions
from unspool.options import RENAMED, Network, Sampling, Training


@pytest.mark.parametrize("kind", [us.Number, us.Count, us.When])
def test_a_keyword_of_version_0_1_names_that_of_today(kind) -> None:
    with pytest.raises(OptionError, match=rf"{kind.__name__}: .*'head'. Since version 0.2.0 it is 'distribution'"):
        kind("x", head="normal")


@pytest.mark.parametrize("old", sorted(RENAMED.keys() - {"head"}))
def test_a_word_of_version_0_1_names_that_of_today(old) -> None:
    option = "distribution" if old == "discretised" else "transform"
    with pytest.raises(OptionError, match=rf"found '{old}'. Since version 0.2.0 it is '{RENAMED[old]}'"):
        us.Number("x", **{option: old})
    assert getattr(us.Number("x", **{option: RENAMED[old]}), option) == RENAMED[old]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Network(sise=3), "Network: expected one of size, .* found 'sise'. Did you mean 'size'"),
        (lambda: Sampling(temprature=2.0), "Did you mean 'temperature'"),
        (lambda: Network(hidden_size=3), "found 'hidden_size'. Here it is called 'size'"),
        (lambda: Training(learning_rate=0.1), "found 'learning_rate'. Here it is called 'rate'"),
        (lambda: us.OneToMany(hidden_size=3), r"OneToMany: .* found 'hidden_size'. Pass network=Network\(size=...\)"),
        (lambda: us.OneToMany(sequnce="x"), "Did you mean 'sequence'"),
        (lambda: us.OneToMany().set_params(lr=1), r"Pass training=Training\(rate=...\)"),
        (lambda: us.OneToMany().set_params(network__sise=1), "Network: .*Did you mean 'size'"),
        (lambda: us.OneToMany().set_params(seed__x=1), "OneToMany: .*found 'seed__x'"),
        (lambda: GenerationOptions.of({"temperature": 2}), r"Pass rule=Sampling\(temperature=...\)"),
        (lambda: Training(zzz=1), r"Training: expected one of epochs, .* found 'zzz'\.$"),
        (lambda: us.Category("x", colour=1), r"Category: expected one of name, found 'colour'\.$"),
        (lambda: Network(size=0), r"Network\(size=0\): expected a whole number >= 1"),
        (lambda: Network().but(layers=17), r"Network\(layers=17\)"),
        (lambda: Training(shards=3), r"Training\(shards=3\): expected 1 or 2 or 4, found 3"),
        (lambda: Training(curve="sigmoid"), r"'curve'. Since version 0.2.0 scheduled feeding always rises linearly"),
        (lambda: Training().but(epoch=1), r"Training: expected one of .*epochs.*, found 'epoch'"),
        (lambda: Network(context="all"), r"expected 'state\+step' or 'state', found 'all'"),
    ],
)
def test_an_unknown_or_illegal_option_is_refused(make, words) -> None:
    with pytest.raises(OptionError, match=words):
        make()
