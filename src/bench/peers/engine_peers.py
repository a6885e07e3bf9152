#!/usr/bin/python3
"""Encode rates, without HTTP, of what one would use in Python instead: one JSON line per peer, the median of its calls.

  faiss-rq-lut  faiss.ResidualQuantizer, beam 1, with lookup tables
  faiss-rq      the same without tables (both do not normalise residuals, and need K to be a power of two)
  torch-gemm    normalised residuals, one matrix product per level
Needs Debian's python3-faiss, python3-torch, python3-numpy, and an optimised BLAS (libopenblas0-pthread).
Usage: engine_peers.py [--n 8192] [--d 2048] [--levels 3] [--k 256] [--threads 2] [--seconds 5]
"""
import argparse, json, os, statistics, time

ap = argparse.ArgumentParser()
for name, default in dict(n=8192, d=2048, levels=3, k=256, threads=os.cpu_count()).items():
    ap.add_argument("--" + name, type=int, default=default)
ap.add_argument("--seconds", type=float, default=5, help="of measurement per peer")
a = ap.parse_args()
os.environ.update(OMP_NUM_THREADS=str(a.threads), OPENBLAS_NUM_THREADS=str(a.threads))  # read when the libraries load
import faiss, numpy as np, torch
from torch_quantizer import TorchQuantizer

torch.set_num_threads(a.threads)
rng = np.random.default_rng(0)
codebooks = (rng.standard_normal((a.levels, a.k, a.d)) / a.d**0.5).astype("f4")
x = rng.standard_normal((a.n, a.d)).astype("f4")

def faiss_quantizer(tables):
    q = faiss.ResidualQuantizer(a.d, a.levels, a.k.bit_length() - 1)
    faiss.copy_array_to_vector(codebooks.ravel(), q.codebooks)
    q.is_trained, q.max_beam_size, q.use_beam_LUT = True, 1, int(tables)
    if tables:
        q.compute_codebook_tables()
    return q.compute_codes

def measure(peer, encode):
    encode(x)
    rates, end = [], time.perf_counter() + a.seconds
    while len(rates) < 3 or time.perf_counter() < end:
        began = time.perf_counter()
        encode(x)
        rates.append(a.n / (time.perf_counter() - began))
    print(json.dumps(dict(peer=peer, rows_per_second=round(statistics.median(rates)), calls=len(rates), n=a.n, d=a.d,
                          levels=a.levels, k=a.k, threads=a.threads)), flush=True)

if a.k & (a.k - 1) == 0:
    measure("faiss-rq-lut", faiss_quantizer(True))
    measure("faiss-rq", faiss_quantizer(False))
measure("torch-gemm", TorchQuantizer(codebooks).encode)
