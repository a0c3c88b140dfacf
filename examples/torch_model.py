"""A network of your own, leave one subject out: `python examples/torch_model.py MANIFEST`."""

import sys

from torch import nn

import micromimic
from micromimic import TorchClassifier


def make_network(classes: int) -> nn.Module:
    """From centred flow maps (B, 3, 28, 28) to logits."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 16, 5, stride=2, padding=2), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16 * 7 * 7, classes)),
    )


def make_model() -> TorchClassifier:
    """Or `micromimic evaluate MANIFEST --model examples/torch_model.py:make_model`."""
    return TorchClassifier(make_network, epochs=10, lr=3e-3)


if __name__ == "__main__":
    found = micromimic.evaluate({"mine": make_model()}, sys.argv[1])
    sys.stdout.write(f"{found.to_markdown()}\n")
