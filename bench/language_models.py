"""Writes language models of random weights, whose loss is that of each sequence, to measure: python bench/language_models.py DIR

gpt2.onnx  12 layers of width 768, 50257 tokens, head tied to the embedding, 64 tokens (124 M parameters)
gpt.onnx   6 layers of width 192, 1024 tokens, head tied, 128 tokens (2.9 M parameters)
lstm.onnx  2 layers of width 128, 256 tokens, 128 steps
"""

import math
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        n, length, width = x.shape
        parts = self.qkv(self.norm1(x)).split(width, dim=2)
        q, k, v = (part.view(n, length, self.heads, -1).transpose(1, 2) for part in parts)
        scores = q @ k.transpose(-2, -1) / math.sqrt(width / self.heads)
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(later, float("-inf")).softmax(-1) @ v
        x = x + self.mix(mixed.transpose(1, 2).reshape(n, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, tokens, length, width, layers, heads):
        super().__init__()
        self.embedding, self.position = nn.Embedding(tokens, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, tokens, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids):
        x = self.embedding(ids) + self.position(torch.arange(ids.shape[1]))
        return self.head(self.norm(self.blocks(x)))


class Recurrent(nn.Module):
    def __init__(self, tokens, width, layers):
        super().__init__()
        self.embedding, self.head = nn.Embedding(tokens, width), nn.Linear(width, tokens)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)

    def forward(self, ids):
        return self.head(self.lstm(self.embedding(ids))[0])


class Loss(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids):
        logs = torch.log_softmax(self.model(ids)[:, :-1], -1)
        return -logs.gather(2, ids[:, 1:, None]).sum((1, 2))


def write(model, path, tokens, length):
    ids = torch.randint(0, tokens, (3, length))
    torch.onnx.export(
        Loss(model.eval()), (ids,), str(path), input_names=["ids"], output_names=["loss"], opset_version=17, dynamo=False,
        dynamic_axes={"ids": {0: "n"}, "loss": {0: "n"}}, do_constant_folding=False,
    )


if __name__ == "__main__":
    torch.manual_seed(0)
    out = Path(sys.argv[1])
    write(Transformer(50257, 64, 768, 12, 12), out / "gpt2.onnx", 50257, 64)
    write(Transformer(1024, 128, 192, 6, 6), out / "gpt.onnx", 1024, 128)
    write(Recurrent(256, 128, 2), out / "lstm.onnx", 256, 128)
