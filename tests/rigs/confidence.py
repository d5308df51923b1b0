#!/usr/bin/env python3
"""Fits the weights of the confidence in crates/meaning/src/confidence.rs.

    cargo run --release -p tradewind-meaning --example bfcl -- DATA PAIRS WHEEL --features features.csv
    tests/rigs/confidence.py features.csv

A logistic regression with a small penalty on standardised features, by Newton's method, on the tuning half alone; prints
the constants as Rust and the area under the curve of both halves. Needs numpy.
"""
import csv
import sys

import numpy as np

PENALTY = 1.0
# Unrelated questions in our own set are short and without names, which says more about the set than about questions.
LEFT_OUT = {"tool": [], "pairs": ["both", "unmatched", "specifics", "parameters", "starved", "lead"]}
NAMES = "similarity matched both unmatched terms short specifics parameters starved lead".split()


def fit(features, truth):
    mean, deviation = features.mean(0), features.std(0)
    deviation[deviation == 0] = np.inf
    x = np.column_stack([np.ones(len(features)), (features - mean) / deviation])
    weights = np.zeros(x.shape[1])
    penalty = PENALTY * np.eye(len(weights))
    penalty[0, 0] = 0
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ weights))
        hessian = x.T @ (x * (p * (1 - p))[:, None]) + penalty
        weights -= np.linalg.solve(hessian, x.T @ (p - truth) + penalty @ weights)
    raw = weights[1:] / deviation
    return weights[0] - raw @ np.where(np.isinf(deviation), 0, mean), raw


def area(scores, truth):
    high, low = scores[truth == 1], scores[truth == 0]
    return ((high[:, None] > low).mean() + (high[:, None] == low).mean() / 2)


def main():
    rows = list(csv.reader(open(sys.argv[1])))
    for kind in ("tool", "pairs"):
        for fused in ("1", "0"):
            these = [row for row in rows if row[0] == kind and row[1] == fused]
            if not these:
                continue
            features = np.array([[float(value) for value in row[6:]] for row in these])
            features[:, [NAMES.index(name) for name in LEFT_OUT[kind]]] = 0
            truth = np.array([float(row[3] != "0") for row in these])
            tuning = np.array([row[2] == "1" for row in these])
            constant, weights = fit(features[tuning], truth[tuning])
            scores = features @ weights + constant
            areas = [area(scores[half], truth[half]) for half in (tuning, ~tuning)]
            name = f"{'tools' if kind == 'tool' else 'texts'}_{'fused' if fused == '1' else 'lexical'}".upper()
            print(f"// {name}: tuning {areas[0]:.3f}, held out {areas[1]:.3f}")
            listed = ", ".join(f"{weight:.2f}" for weight in weights)
            print(f"const {name}: Calibration = Calibration {{ constant: {constant:.2f}, weights: [{listed}] }};")


main()
