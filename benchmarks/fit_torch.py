"""The script that `benchmarks/fit.py` compares with: a one-to-many LSTM as one would write it with PyTorch.

A category has an embedding; numbers are standardised. The input gives the first state and is read at each step. The
loss is that of symbols with an end, or of Gaussians; Adam with clipping, the rate is halved where validation stands
still, and training ends when it stands still for longer. The best weights are kept.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

folder, size = Path(sys.argv[1]), int(os.environ["FIT_SIZE"])
train, test = (json.loads((folder / f"{part}.json").read_text()) for part in ("train", "test"))
torch.manual_seed(0)
rng = np.random.default_rng(0)

text = isinstance(train["sequence"][0], str)
names = [name for name in train if name != "sequence"]
categories = isinstance(train[names[0]][0], str)
known = {value: k for k, value in enumerate(sorted(set(train[names[0]])))} if categories else {}
symbols = {s: k for k, s in enumerate(sorted(set("".join(train["sequence"]))))} if text else {}
END = len(symbols)  # also the start, and what was never seen
F = 1 if text else len(train["sequence"][0][0])
if not categories:
    raw = np.array([train[name] for name in names]).T
    centre, scale = raw.mean(0), raw.std(0)
if not text:
    steps = np.concatenate([np.array(s) for s in train["sequence"]])
    shift, spread = steps.mean(0), steps.std(0)


def encoded(table):
    """Inputs, and the sequences as tensors."""
    if categories:
        x = torch.tensor([known[value] for value in table[names[0]]])
    else:
        x = torch.tensor((np.array([table[name] for name in names]).T - centre) / scale, dtype=torch.float32)
    if text:
        return x, [torch.tensor([*(symbols.get(s, END) for s in row), END]) for row in table["sequence"]]
    scaled = [torch.tensor((np.array(row) - shift) / spread, dtype=torch.float32) for row in table["sequence"]]
    return x, scaled


class Model(nn.Module):
    """The input gives (h, c) and is read at each step; each output is the next input."""

    def __init__(self):
        super().__init__()
        self.context = nn.Embedding(len(known), 32) if categories else nn.Linear(len(names), 32)
        self.first = nn.Linear(32, 2 * size)
        self.embedding = nn.Embedding(END + 1, 32) if text else nn.Linear(F, 32)
        self.lstm = nn.LSTM(64, size, batch_first=True)
        self.out = nn.Linear(size, END + 1 if text else 2 * F + 1)

    def forward(self, x, before):
        """Parameters of the distribution of each step."""
        context = torch.tanh(self.context(x))
        h, c = self.first(context).chunk(2, -1)
        read = torch.cat([self.embedding(before), context[:, None].expand(-1, before.shape[1], -1)], -1)
        return self.out(self.lstm(read, (torch.tanh(h)[None], c[None].contiguous()))[0])


def nats(model, x, rows):
    """Summed negative log-probability of some sequences, in the units of the data."""
    lengths = torch.tensor([len(row) for row in rows])
    target = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    real = (torch.arange(target.shape[1]) < lengths[:, None]).float()
    if text:
        before = torch.cat([torch.full((len(rows), 1), END), target[:, :-1]], 1)
        loss = nn.functional.cross_entropy(model(x, before).transpose(1, 2), target, reduction="none")
        return (loss * real).sum()
    before = torch.cat([torch.zeros(len(rows), 1, F), target[:, :-1]], 1)
    loc, raw_scale, stop = model(x, before).split([F, F, 1], -1)
    normal = torch.distributions.Normal(loc, nn.functional.softplus(raw_scale) + 1e-4)
    loss = -(normal.log_prob(target).sum(-1) * real).sum() + float(np.log(spread).sum()) * real.sum()
    if len({len(row) for row in train["sequence"]}) > 1:
        last = (torch.arange(target.shape[1]) == lengths[:, None] - 1).float()
        stopping = nn.functional.binary_cross_entropy_with_logits(stop[..., 0], last, reduction="none")
        loss = loss + (stopping * real).sum()
    return loss


x, rows = encoded(train)
order = rng.permutation(len(rows))
if not categories:  # windows of a series: the last tenth, after a gap
    order = np.arange(len(rows))[::-1].copy()
held, learned = order[: max(1, len(rows) // 10)], order[max(1, len(rows) // 10) + (0 if categories else 20) :]
count = sum(len(row) for row in test["sequence"])
x_test, rows_test = encoded(test)
model = Model()
optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=2)
best, best_state, bad, curve, uncounted = float("inf"), None, 0, [], 0.0
started = float(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")


def total(x, rows):
    """Of many sequences, without a gradient."""
    with torch.no_grad():
        return sum(float(nats(model, x[k : k + 256], rows[k : k + 256])) for k in range(0, len(rows), 256))


while bad < 6:
    model.train()
    lengths = np.array([len(rows[k]) for k in learned])
    by_length = learned[np.argsort(lengths + 3 * rng.random(len(learned)))]
    chunks = np.array_split(by_length, max(1, len(learned) // 64))
    for k in rng.permutation(len(chunks)):
        optimiser.zero_grad(set_to_none=True)
        batch = [rows[i] for i in chunks[k]]
        loss = nats(model, x[chunks[k]], batch) / sum(len(row) for row in batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    model.eval()
    validation = total(x[held], [rows[i] for i in held]) / sum(len(rows[i]) for i in held)
    schedule.step(validation)
    if validation < best - 1e-4:
        best, bad = validation, 0
        best_state = {name: value.clone() for name, value in model.state_dict().items()}
    else:
        bad += 1
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    curve.append((now - started - uncounted, total(x_test, rows_test) / count))
    uncounted += time.clock_gettime(time.CLOCK_BOOTTIME) - now
seconds = time.clock_gettime(time.CLOCK_BOOTTIME) - started - uncounted
model.load_state_dict(best_state)
print(json.dumps({"seconds": seconds, "nats": total(x_test, rows_test) / count, "curve": curve, "updates": len(curve)}))
