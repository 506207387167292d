"""What many would write: PyTorch's LSTMCell in a loop, behind FastAPI. Usage: serve_torch.py PORT H B T V."""

import sys

import numpy as np
import torch
import uvicorn
from common import Sizes
from fastapi import FastAPI
from ours import token_net
from peers import Weights, torch_loop
from pydantic import BaseModel

app = FastAPI()
port, *numbers = map(int, sys.argv[1:])
sizes = Sizes(*numbers)._replace(B=1)
run = torch_loop(Weights.of(token_net(sizes)), sizes)


class Request(BaseModel):
    """What a client asks for."""

    seed: int


@app.get("/healthz")
def healthz() -> str:
    return "ok"


@app.post("/generate")
def generate(request: Request) -> list[int]:
    torch.manual_seed(request.seed)
    return np.asarray(run()).reshape(-1).tolist()


uvicorn.run(app, port=port, log_level="warning")
