"""One number in, many numbers out: the classical first program of a one-to-many LSTM, then its general case.

First, one example is learned by heart: 5 gives 2 4 6 8. Then one model learns nine: k gives its multiplication table.

Run it with `python examples/integers.py`.
"""

import unspool as us

# Both programs memorise. By default a tenth of the examples is held out, and training stops when the model no longer
# improves on it; here the model must learn every example, so nothing is held out.
BY_HEART = us.Training(holdout=0)


def one() -> None:
    print("input 5 shall give 2 4 6 8")
    model = us.OneToMany(inputs="k", sequence="numbers", training=BY_HEART, verbose=False)
    model.fit({"k": [5], "numbers": [[2, 4, 6, 8]]})
    # Greedy takes the most probable value at every step, so the same input always gives the same sequence.
    print("input 5 gives     ", *model.generate({"k": 5}, rule="greedy")[0])


def nine() -> None:
    print("\nk gives its multiplication table: all nine in one model")
    tables = {"k": list(range(1, 10)), "table": [[k * j for j in range(1, 10)] for k in range(1, 10)]}
    # By default Unspool takes 1 to 81 for measurements, where 72.3 is nearly as good as 72. As a Category each number
    # is a symbol of its own, right or wrong.
    model = us.OneToMany(inputs="k", sequence=us.Category("table"), training=BY_HEART, verbose=False).fit(tables)
    exact = 0
    for k, generated in zip(tables["k"], model.generate({"k": tables["k"]}, rule="greedy"), strict=True):
        expected = tables["table"][k - 1]
        exact += generated == expected
        shown = " ".join(f"{number:2d}" for number in generated)
        print(f"  {k} | {shown}" + ("" if generated == expected else f"  not {expected}"))
    print(f"{exact} of 9 tables are exact, after {model.summary_.updates} updates in {model.summary_.seconds:.0f} s")


if __name__ == "__main__":
    one()
    nine()
