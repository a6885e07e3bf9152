#!/usr/bin/python3
"""How many IDs a further training changes (init_from), by how many passes it makes, through a service of its own.

A codebook of all rows but a random twentieth is trained further with all of them; changed are the IDs of the old rows. The error is that of all
rows, over that of a fresh training of them with another seed. Needs NumPy.
Usage: further.py --rows data.npy --d 384
"""
import contextlib, io, json, time
import numpy as np
import common

ap = common.parser(__doc__)
a = ap.parse_args()
x = np.load(a.rows)
x = x[np.random.default_rng(0).permutation(len(x))]
old = x[: len(x) * 19 // 20]

def npy(rows):
    file = io.BytesIO()
    np.save(file, rows)
    return file.getvalue()

def train(url, query, rows):
    job = json.loads(common.call(url + "/train?codebook=further&activate=never&codebook_width=%d&num_hierarchies=%d&%s" % (a.k, a.levels, query), npy(rows), "application/x-npy"))
    while job["state"] in ("queued", "running"):
        time.sleep(0.05)
        job = json.loads(common.call(url + "/train/" + job["id"]))
    if job["state"] != "succeeded":
        raise SystemExit(job)
    return job

def compare(url, before, after):
    return json.loads(common.call(url + "/codebooks/further/compare?from=%d&to=%d" % (before, after), npy(old[:16000]), "application/x-npy"))

def row(name, url, before, job, fresh):
    c = compare(url, before, job["version"])
    common.table_row(name, "%.1f%%" % (100 * c["changed"]), ", ".join("%.1f%%" % (100 * l["changed"]) for l in c["levels"]),
                     "%.1f%%" % (100 * c["changed_after_matching"]), "%.3f" % (job["report"]["mse"] / fresh["report"]["mse"]))

with contextlib.ExitStack() as stack:
    tmp = stack.enter_context(common.folder())
    a.rows = None  # the service needs no codebook of these rows
    url, pid = stack.enter_context(common.service(a, tmp))
    print("%s. %d × %d rows, %d of them new, %d levels of %d.\n" % (common.machine(), *x.shape, len(x) - len(old), a.levels, a.k))
    common.table_head("training", "IDs changed", "per level", "after matching", "mse / fresh")
    for name, query in (("", ""), ("raw, ", "&normalize_residuals=false")):
        before = train(url, "seed=1" + query, old)["version"]
        fresh = train(url, "seed=2" + query, x)
        a_pass = a.levels * -(-len(x) // 2048)
        for passes in (1, 2, 3, 5, 10):
            row(name + "further, %d passes" % passes, url, before, train(url, "seed=1&init_from=%d&max_steps=%d%s" % (before, passes * a_pass, query), x), fresh)
        row(name + "fresh", url, before, fresh, fresh)
