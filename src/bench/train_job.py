#!/usr/bin/python3
"""Job time of trainings on a running service, and the holdout mse of what they made.

Needs NumPy. Rows before --rows are trained on, those behind are held out.
Usage: train_job.py data.npy [--rows 20480] [--query max_steps=30] [--seeds 1,2,3,4,5] [--url http://localhost:8080]
"""
import argparse, datetime, io, json, struct, time, urllib.request
import numpy as np

ap = argparse.ArgumentParser()
ap.add_argument("data")
ap.add_argument("--rows", type=int, default=0, help="rows to train on; 0: all")
ap.add_argument("--query", default="")
ap.add_argument("--seeds", default="1,2,3,4,5")
ap.add_argument("--url", default="http://localhost:8080")
a = ap.parse_args()

def call(path, body=None, **headers):
    with urllib.request.urlopen(urllib.request.Request(a.url + path, body, headers)) as answer:
        return answer.read()

x = np.load(a.data, mmap_mode="r")
rows = a.rows or len(x)
body = io.BytesIO()
np.save(body, x[:rows])
for seed in a.seeds.split(","):
    query = "&".join(q for q in (a.query, "seed=" + seed, "codebook=bench") if q)
    job = json.loads(call("/train?" + query, body.getvalue(), **{"Content-Type": "application/x-npy"}))
    while job["state"] in ("queued", "running"):
        time.sleep(0.05)
        job = json.loads(call("/train/" + job["id"]))
    if job["state"] != "succeeded":
        raise SystemExit(job)
    began, ended = (datetime.datetime.fromisoformat(job[t].replace("Z", "+00:00")) for t in ("started_at", "finished_at"))
    line = dict(seed=int(seed), job_seconds=(ended - began).total_seconds(), mse=job["report"]["mse"],
                unique_ratio=job["report"]["unique_ratio"], dead_codes=[l["dead_codes"] for l in job["report"]["levels"]])
    if rows < len(x):
        f = call("/codebooks/bench/versions/%d.safetensors" % job["version"])
        size, = struct.unpack("<Q", f[:8])
        header = json.loads(f[8:8 + size])
        holdout = np.ascontiguousarray(x[rows:], "<f4")
        codes = np.frombuffer(call("/encode?codebook=bench&version=%d" % job["version"], holdout.tobytes(), **{
            "Content-Type": "application/octet-stream", "Accept": "application/octet-stream"}), "<i4").reshape(len(holdout), -1)
        r = holdout.astype("f8")
        for l in range(codes.shape[1]):
            begin, end = header["level_%d" % l]["data_offsets"]
            c = np.frombuffer(f[8 + size + begin:8 + size + end], "<f4").reshape(header["level_%d" % l]["shape"])
            u = r / np.linalg.norm(r, axis=1, keepdims=True) if header["__metadata__"]["normalize_residuals"] == "true" else r
            r = u - c[codes[:, l]]
        line["holdout_mse"] = float((r ** 2).mean())
    print(json.dumps(line), flush=True)
