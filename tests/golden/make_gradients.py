"""Gradients of the tiny model by PyTorch in float32, for tests/unit/test_net.c.

    python3 tests/golden/make_gradients.py > tests/golden/gradients.json

The loss is the sum of every element of the six vectors times sin(1 + 24 i + h), text i and element h.  "gradients" are its, for every
tensor; "after" are the tensors after three steps of AdamW with clipping to a length of 1.
"""
import json
import math

import torch
import transformers
from make_encoder import TINY_SENTENCES, tiny_model


def loss_of(model, tokenizer):
    loss = 0
    for i, text in enumerate(TINY_SENTENCES):
        x = tokenizer(text, truncation=True, max_length=40, return_tensors="pt")
        z = torch.nn.functional.normalize(model(**x).last_hidden_state[0].mean(0), dim=0)
        loss = loss + (z * torch.tensor([math.sin(1 + 24 * i + h) for h in range(24)])).sum()
    return loss


def numbers(tensor):
    return [float(f"{v:.7g}") for v in tensor.flatten().tolist()]


def main():
    torch.set_num_threads(1)
    model, tokenizer = tiny_model()
    loss = loss_of(model, tokenizer)
    loss.backward()
    out = {"made_with": f"transformers {transformers.__version__}, torch {torch.__version__}", "loss": loss.item(),
           "gradients": {name: numbers(p.grad) for name, p in model.named_parameters()}}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        loss_of(model, tokenizer).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    out["after"] = {name: numbers(p) for name, p in model.named_parameters()}
    print(json.dumps(out, separators=(",", ":")))


if __name__ == "__main__":
    main()
