#!/usr/bin/python3
"""Embeddings of more dimensions with the neighbourhoods of real ones: a fixed seeded random rotation of each row padded with
zeros, plus Gaussian noise of 5% of its norm. Benchmarks use it where no real data of that dimension is at hand.
Usage: lift.py IN.npy OUT.npy [--d 2048] [--noise 0.05]
"""
import argparse
import numpy as np

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("source")
ap.add_argument("target")
ap.add_argument("--d", type=int, default=2048)
ap.add_argument("--noise", type=float, default=0.05)
a = ap.parse_args()
rows = np.load(a.source, mmap_mode="r")
rng = np.random.default_rng(7)
rotation = np.linalg.qr(rng.standard_normal((a.d, a.d)))[0][: rows.shape[1]].astype("f4")
lifted = np.lib.format.open_memmap(a.target, "w+", "<f4", (len(rows), a.d))
for begin in range(0, len(rows), 4096):
    part = np.asarray(rows[begin : begin + 4096], "f4")
    noise = rng.standard_normal((len(part), a.d), "f4") * (a.noise * np.linalg.norm(part, axis=1, keepdims=True) / a.d**0.5)
    lifted[begin : begin + len(part)] = part @ rotation + noise
