#!/usr/bin/python3
"""What each way of training is worth on real embeddings, through a service of its own: medians over seeds.

The first --train rows are trained on, the others held out. Job time is from start to end of the job, with reading, training, the report
over all rows, storing and swapping in. With --faiss, its k-means per level and its ResidualQuantizer in the same minutes.
Needs NumPy, for --faiss python3-faiss and libopenblas0-pthread.
Usage: quality.py --rows data.npy --d 384 [--train 20480] [--seeds 1,2,3] [--faiss]
"""
import contextlib, datetime, io, json, statistics, struct, time
import numpy as np
import common

ap = common.parser(__doc__)
ap.add_argument("--train", type=int, default=20480)
ap.add_argument("--seeds", default="1,2,3")
ap.add_argument("--faiss", action="store_true")
a = ap.parse_args()
x = np.load(a.rows).astype("f4")
train, held = x[:a.train], np.ascontiguousarray(x[a.train:], "<f4")
seeds = [int(s) for s in a.seeds.split(",")]
RAW, LLOYD = "normalize_residuals=false", "algorithm=lloyd"
SETTINGS = [
    ("reference", ""), ("reference, raw", RAW),
    ("lloyd", LLOYD), ("lloyd, raw", LLOYD + "&" + RAW),
    ("lloyd, balance", LLOYD + "&balance=true"), ("lloyd, balance, raw", LLOYD + "&balance=true&" + RAW),
    ("lloyd, refine", LLOYD + "&refine=40"), ("lloyd, refine, raw", LLOYD + "&refine=40&" + RAW),
    ("lloyd, beam 5, raw", LLOYD + "&beam_size=5&" + RAW), ("lloyd, refine, beam 5, raw", LLOYD + "&refine=40&beam_size=5&" + RAW),
]

def residual_mse(r, centroids, codes, normalized):
    r = r.astype("f8")
    for c, k in zip(centroids, codes.T):
        u = r / np.linalg.norm(r, axis=1, keepdims=True) if normalized else r
        r = u - c[k]
    return float((r ** 2).mean())

def statistics_of(codes, k):
    n = len(codes)
    _, inverse, counts = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    p = [np.bincount(level, minlength=k) / n for level in codes.T]
    return (len(counts) / n, float((counts[inverse.ravel()] > 1).mean()), int(counts.max()),
            min(float(np.exp(-(q[q > 0] * np.log(q[q > 0])).sum())) for q in p))

def row(name, results):
    median = [statistics.median(r[i] for r in results) for i in range(6)]
    common.table_row(name, "%.1f" % median[0], "%.3e" % median[1], "%.3f" % median[2], "%.1f%%" % (100 * median[3]), "%d" % median[4], "%.0f" % median[5])

def through_service(url, query, seed):
    body = io.BytesIO()
    np.save(body, train)
    job = json.loads(common.call(url + "/train?codebook=quality&codebook_width=%d&num_hierarchies=%d&seed=%d&%s" % (a.k, a.levels, seed, query), body.getvalue(), "application/x-npy"))
    while job["state"] in ("queued", "running"):
        time.sleep(0.05)
        job = json.loads(common.call(url + "/train/" + job["id"]))
    if job["state"] != "succeeded":
        raise SystemExit(job)
    began, ended = (datetime.datetime.fromisoformat(job[t].replace("Z", "+00:00")) for t in ("started_at", "finished_at"))
    f = common.call(url + "/codebooks/quality/versions/%d.safetensors" % job["version"], accept=common.OCTETS)
    size, = struct.unpack("<Q", f[:8])
    header = json.loads(f[8:8 + size])
    tensor = lambda name: np.frombuffer(f[8 + size + header[name]["data_offsets"][0]:8 + size + header[name]["data_offsets"][1]], "<f4").reshape(header[name]["shape"])
    codes = np.frombuffer(common.call(url + "/encode?codebook=quality&version=%d" % job["version"], held.tobytes(), common.OCTETS, common.OCTETS), "<i4").reshape(len(held), -1)
    mse = residual_mse(held, [tensor("level_%d" % l) for l in range(a.levels)], codes, header["__metadata__"]["normalize_residuals"] == "true")
    report = job["report"]
    return ((ended - began).total_seconds(), mse, report["unique_ratio"], report["colliding_share"], report["max_group"],
            min(level["perplexity"] for level in report["levels"]))

def by_faiss(seed, normalized):
    import faiss
    r, centroids, codes = train.copy(), [], []
    began = time.time()
    for _ in range(a.levels):
        u = r / np.linalg.norm(r, axis=1, keepdims=True) if normalized else r
        means = faiss.Kmeans(u.shape[1], a.k, niter=20, seed=seed, max_points_per_centroid=10**9)
        means.train(u)
        index = faiss.IndexFlatL2(u.shape[1])
        index.add(means.centroids)
        nearest = index.search(u, 1)[1][:, 0]
        centroids.append(means.centroids)
        codes.append(nearest)
        r = u - means.centroids[nearest]
    seconds = time.time() - began
    h, of_held = held.copy(), []
    for c in centroids:
        u = h / np.linalg.norm(h, axis=1, keepdims=True) if normalized else h
        index = faiss.IndexFlatL2(u.shape[1])
        index.add(c)
        of_held.append(index.search(u, 1)[1][:, 0])
        h = u - c[of_held[-1]]
    return (seconds, residual_mse(held, centroids, np.stack(of_held, 1), normalized), *statistics_of(np.stack(codes, 1), a.k))

def faiss_quantizer():
    import faiss
    began = time.time()
    q = faiss.ResidualQuantizer(train.shape[1], a.levels, int(np.log2(a.k)))
    q.train(train)
    seconds = time.time() - began
    for beam in (5, 1):
        q.max_beam_size = beam
        packed = q.compute_codes(train)
        error = float(((q.decode(q.compute_codes(held)) - held) ** 2).mean())
        row("Faiss ResidualQuantizer, encoded with beam %d" % beam, [(seconds, error, *statistics_of(packed[:, :a.levels].astype(int), a.k))])

with contextlib.ExitStack() as stack:
    tmp = stack.enter_context(common.folder())
    rows, a.rows = a.rows, None  # the service needs no codebook of these rows
    url, pid = stack.enter_context(common.service(a, tmp))
    print("%s. %d × %d rows, %d held out, %d levels of %d, medians of %d seeds.\n" % (common.machine(), len(train), x.shape[1], len(held), a.levels, a.k, len(seeds)))
    common.table_head("training", "seconds", "holdout mse", "unique ratio", "colliding share", "largest group", "least perplexity")
    through_service(url, LLOYD + "&refine=3&beam_size=2", 0)  # the just-in-time compiler
    for name, query in SETTINGS:
        row(name, [through_service(url, query, seed) for seed in seeds])
    if a.faiss:
        for normalized in (True, False):
            row("Faiss k-means per level, 20 iterations" + ("" if normalized else ", raw"), [by_faiss(seed, normalized) for seed in seeds])
        faiss_quantizer()
