#!/usr/bin/python3
"""The service one would write in an afternoon instead: FastAPI and PyTorch, one worker, with the fast parts that uvicorn can use.

POST /encode takes {"embeddings": [[...]]} as application/json, or float32 rows as application/octet-stream, and answers
{"semantic_ids": [[...]]}. Its codebooks are those of ../common.py. OMP_NUM_THREADS sets its threads.
Needs Debian's python3-fastapi, python3-uvicorn, python3-uvloop, python3-httptools, python3-ujson, python3-torch.
Usage: fastapi_peer.py [--port 8099] [--d 2048] [--levels 3] [--k 256]
"""
import argparse, pathlib, sys
import fastapi, numpy as np, ujson, uvicorn
from torch_quantizer import TorchQuantizer

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import common

ap = argparse.ArgumentParser()
for name, default in dict(port=8099, d=2048, levels=3, k=256).items():
    ap.add_argument("--" + name, type=int, default=default)
a = ap.parse_args()
quantizer = TorchQuantizer(common.codebooks(a.d, a.levels, a.k))
app = fastapi.FastAPI()

@app.post("/encode")
async def encode(request: fastapi.Request):
    body = await request.body()
    if request.headers.get("content-type") == "application/octet-stream":
        x = np.frombuffer(bytearray(body), "<f4").reshape(-1, a.d)
    else:
        x = np.array(ujson.loads(body)["embeddings"], "f4")
    answer = ujson.dumps({"semantic_ids": quantizer.encode(x).tolist()})
    return fastapi.Response(answer, media_type="application/json")

uvicorn.run(app, host="127.0.0.1", port=a.port, loop="uvloop", http="httptools", log_level="warning")
