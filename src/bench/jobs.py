#!/usr/bin/python3
"""What jobs take and give: memory and rate of a source larger than memory, the rate of bulk encoding, latency of /encode beside a training.

large:   files of --gib GiB in all, real rows of --rows repeated with noise, are trained from and encoded; RssAnon is the most of samples
         every 0.2 s. The same with as many of the files as fit --small GiB, for the rates.
bulk:    --n rows, npy to Parquet and npy to npy, beside what the same service encodes as octet-stream requests (its engine and HTTP).
latency: p50 and p99 of /encode (--batch rows, 4 connections, at half of what they reach without a pause) without and with an endless training
         under way, by turns.
Needs NumPy, for latency wrk. Usage: jobs.py large|bulk|latency --rows data.npy [--gib 20] [--small 1] [--n 1000000] [--batch 32] [--rounds 3]
       [--seconds 10] [--keep folder] [--java-options=-Xmx1g] [--service-options=...]
"""
import contextlib, datetime, json, pathlib, statistics, time, urllib.request
import numpy as np
import common

ap = common.parser(__doc__)
ap.add_argument("mode", choices=["large", "bulk", "latency"])
ap.add_argument("--gib", type=float, default=20)
ap.add_argument("--small", type=float, default=1)
ap.add_argument("--n", type=int, default=1_000_000)
ap.add_argument("--batch", type=int, default=32)
ap.add_argument("--rounds", type=int, default=3)
ap.add_argument("--seconds", type=int, default=10)
ap.add_argument("--keep", help="a folder for the large files, kept for the next run")
a = ap.parse_args()
if not a.rows:
    ap.error("--rows is needed")

def write(path, x, n):
    """A file of n rows: those of x again and again, each time with other noise."""
    if path.exists():
        return
    out = np.lib.format.open_memmap(path, "w+", "<f4", (n, x.shape[1]))
    random = np.random.default_rng(len(path.name))
    for begin in range(0, n, len(x)):
        part = x[:min(len(x), n - begin)]
        out[begin:begin + len(part)] = part + random.standard_normal(part.shape[1], "f4") * np.float32(0.01 / x.shape[1] ** 0.5)
    out.flush()

def post(url, path, request):
    return json.loads(common.call(url + path, json.dumps(request).encode(), common.JSON))["id"]

def wait(url, path, job, pid=None):
    """The finished job, rows per second of its phases, and the most RssAnon in MB."""
    rates, most = {}, 0
    while (now := json.loads(common.call(url + path + "/" + job)))["state"] in ("queued", "running"):
        progress = now.get("progress", {})
        if "phase" in progress:
            rates[progress["phase"]] = progress["rows_per_second"]
        most = max(most, common.memory(pid)[1] if pid else 0)
        time.sleep(0.2)
    if now["state"] != "succeeded":
        raise SystemExit(now)
    return now, rates, most

def seconds(job):
    began, ended = (datetime.datetime.fromisoformat(job[t].replace("Z", "+00:00")) for t in ("started_at", "finished_at"))
    return (ended - began).total_seconds()

with contextlib.ExitStack() as stack:
    tmp = stack.enter_context(common.folder())
    data = pathlib.Path(a.keep or tmp / "rows")
    data.mkdir(exist_ok=True)
    x = np.load(a.rows).astype("f4")
    d = x.shape[1]
    options = a.service_options + " --semantic-id.data-root=%s" % data.resolve()
    url, pid = stack.enter_context(common.service(a, tmp, options))
    print("%s. d=%d, %d levels of %d.\n" % (common.machine(), d, a.levels, a.k))
    uri = lambda name: {"uri": "file://%s/%s" % (data.resolve(), name)}
    if a.mode == "large":
        per_file = 2**30 // (4 * d)
        for i in range(round(a.gib)):
            write(data / ("part-%03d.npy" % i), x, per_file)
        common.table_head("source", "job", "seconds", "rows", "rows/s by phase", "most RssAnon, MB")
        few = "part-00[0-%d].npy" % (round(a.small) - 1)
        for name, glob in (("%g GiB" % a.small, few), ("%g GiB" % a.gib, "part-*.npy"), ("%g GiB again" % a.small, few)):
            job, rates, most = wait(url, "/train", post(url, "/train", {"codebook": "large", "source": uri(glob), "activate": "never"}), pid)
            show = ", ".join("%s %.0f" % r for r in rates.items())
            common.table_row(name, "training", "%.0f" % seconds(job), job["parameters"]["rows"], show, "%.0f" % most)
            (data / "codes.npy").unlink(missing_ok=True)
            job, rates, most = wait(url, "/encode/jobs", post(url, "/encode/jobs", {"source": uri(glob), "destination": uri("codes.npy")}), pid)
            common.table_row(name, "encoding", "%.0f" % seconds(job), job["result"]["rows"], "%.0f in all" % (job["result"]["rows"] / seconds(job)), "%.0f" % most)
        (data / "codes.npy").unlink()
    elif a.mode == "bulk":
        write(data / "bulk.npy", x, a.n)
        script = common.wrk_script(tmp / "load.lua", np.ascontiguousarray(x[:4096], "<f4").tobytes(), common.OCTETS)
        rates = {"npy": [], "parquet": [], "requests": []}
        for _ in range(a.rounds):
            for end in ("npy", "parquet"):
                out = data / ("codes." + end)
                out.unlink(missing_ok=True)
                job, _, _ = wait(url, "/encode/jobs", post(url, "/encode/jobs", {"source": uri("bulk.npy"), "destination": uri(out.name)}))
                rates[end].append(a.n / seconds(job))
            w = common.finish_wrk(common.start_wrk(url + "/encode", script, 2, a.seconds))
            rates["requests"].append(4096 * w["requests"] / w["seconds"])
        common.table_head("way", "rows/s, median of %d" % a.rounds, "least", "most")
        for name, r in rates.items():
            common.table_row(name, *("%.0f" % v for v in (statistics.median(r), min(r), max(r))))
    else:
        content = np.ascontiguousarray(x[:a.batch], "<f4").tobytes()
        script = common.wrk_script(tmp / "load.lua", content, common.OCTETS)
        most = common.finish_wrk(common.start_wrk(url + "/encode", script, 4, a.seconds))
        rate = most["requests"] / most["seconds"]
        pause = 2 * 4000 / rate - most["p50"] / 2
        script.write_text(script.read_text() + "function delay() return %d end\n" % max(1, round(pause)))
        write(data / "train.npy", x, max(len(x), 200_000))
        results = {"alone": [], "training": []}
        for _ in range(a.rounds):
            results["alone"].append(common.finish_wrk(common.start_wrk(url + "/encode", script, 4, a.seconds)))
            job = post(url, "/train", {"codebook": "endless", "source": uri("train.npy"), "max_steps": 3_000_000, "activate": "never"})
            time.sleep(3)
            results["training"].append(common.finish_wrk(common.start_wrk(url + "/encode", script, 4, a.seconds)))
            progress = json.loads(common.call(url + "/train/" + job))["progress"]
            urllib.request.urlopen(urllib.request.Request(url + "/train/" + job, method="DELETE")).read()
            while json.loads(common.call(url + "/train/" + job))["state"] == "running":
                time.sleep(0.1)
        print("saturated: %.0f rows/s; training meanwhile: %.0f rows/s\n" % (rate * a.batch, progress["rows_per_second"]))
        common.table_head("/encode", "load", "p50, ms", "p99, ms")
        for name, r in results.items():
            median = lambda key: statistics.median(v[key] for v in r)
            common.table_row(name, "%.0f%%" % (100 * statistics.median(v["requests"] / v["seconds"] for v in r) / rate), "%.1f" % median("p50"), "%.1f" % median("p99"))
