"""A character in, a text out: one line learned by heart, then twenty lines in one model.

Run it with `python examples/text.py`.
"""

import unspool as us

BY_HEART = us.Training(holdout=0)  # hold nothing out: the model must learn every line
LINES = {  # poems, and how they begin
    "Daffodils": "I wandered lonely as a cloud",
    "The Tyger": "Tyger Tyger, burning bright",
    "The Raven": "Once upon a midnight dreary",
    "Ozymandias": "I met a traveller from an antique land",
    "Sonnet 18": "Shall I compare thee to a summer's day?",
    "Endymion": "A thing of beauty is a joy for ever",
    "To Autumn": "Season of mists and mellow fruitfulness",
    "Jabberwocky": "'Twas brillig, and the slithy toves",
    "Kubla Khan": "In Xanadu did Kubla Khan",
    "The Lamb": "Little Lamb, who made thee?",
    "The Sick Rose": "O Rose, thou art sick!",
    "Invictus": "Out of the night that covers me",
    "Requiem": "Under the wide and starry sky",
    "The Owl": "When cats run home and light is come",
    "London": "I wander thro' each charter'd street",
    "Love's Growth": "I scarce believe my love to be so pure",
    "The Eagle": "He clasps the crag with crooked hands",
    "Hope": "Hope is the thing with feathers",
    "Remember": "Remember me when I am gone away",
    "Virtue": "Sweet day, so cool, so calm, so bright",
}


def one() -> None:
    model = us.OneToMany(inputs="start", sequence="text", training=BY_HEART, verbose=False)
    model.fit({"start": ["h"], "text": ["hello world this is "]})
    text = model.generate({"start": "h"}, rule="greedy")[0]
    print(f"'h' shall give 'hello world this is '\n'h' gives      {text!r}, {len(text)} characters\n")


def twenty() -> None:
    poems = {"title": list(LINES), "line": list(LINES.values())}
    # A text column is read character by character. The lines differ in length, so the model learns where to stop, too.
    model = us.OneToMany(inputs="title", sequence="line", training=BY_HEART, verbose=False).fit(poems)
    lines = list(model.generate({"title": poems["title"]}, rule="greedy"))
    for title, line in zip(LINES, lines, strict=True):
        print(f"  {title:14}{line}" + ("" if line == LINES[title] else f"   not {LINES[title]}"))
    print(f"{sum(map(str.__eq__, lines, LINES.values()))} of 20 lines are exact\n")
    # Greedy recites. Sampling draws each character by its probability. A temperature above 1 flattens the
    # probabilities: the higher it is, the less of the poem is left.
    for temperature in (2.0, 3.0):
        sampled = model.generate({"title": "The Raven"}, seed=0, rule=us.Sampling(temperature=temperature))
        print(f"'The Raven' sampled at temperature {temperature}: {sampled[0]}")


if __name__ == "__main__":
    one()
    twenty()
