"""A classifier of your own, leave one subject out: `python examples/scikit_learn.py MANIFEST`."""

import sys

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

import micromimic
from micromimic.models import FlowVectors


def make_model() -> Pipeline:
    """Or `micromimic evaluate MANIFEST --model examples/scikit_learn.py:make_model`."""
    return make_pipeline(FlowVectors(), LogisticRegression(C=0.01, class_weight="balanced"))


if __name__ == "__main__":
    found = micromimic.evaluate({"mine": make_model(), "flow-svm": None}, sys.argv[1])
    sys.stdout.write(f"{found.to_markdown()}\n{found.compare()}\n")
