#!/usr/bin/python3
"""POST /encode against what one would write in Python instead: rows per second and latencies of both, as a Markdown table.

Starts the packaged jar and peers/fastapi_peer.py on free ports with the same codebook, checks the codes (the service's against
a float64 loop; the peer's, which are float32, against the service's), then drives both with wrk in turn, round by round.
Needs wrk, Debian's python3-numpy, and what the peer needs. CPU is how many processors the server kept busy. Every figure is
the median over the rounds. What other programs took is told at the end: with much of it, measure again.
With --against the peer is the service itself, with those options instead of --service-options.
Usage: encode_http.py [--cases 1x1,1x16,32x4,256x4] [--formats octets,json] [--seconds 5] [--rounds 3] [--warmup 5]
       [--against=--semantic-id.screening=never] [--rows embeddings.npy]
       [--d 2048] [--levels 3] [--k 256] [--jar target/semantic-id-service.jar] [--java-options=-Xmx1g] [--service-options=...]
"""
import contextlib, json, resource, statistics, sys, time
import numpy as np
import common

ap = common.parser(__doc__)
ap.add_argument("--cases", default="1x1,1x16,32x4,256x4", help="rows of a request x connections")
ap.add_argument("--formats", default="octets,json")
ap.add_argument("--seconds", type=int, default=5, help="of a round")
ap.add_argument("--rounds", type=int, default=3)
ap.add_argument("--warmup", type=int, default=5, help="seconds before the rounds of each case")
ap.add_argument("--against", help="options of a second service to compare with")
ap.add_argument("--wrk-threads", type=int, default=1)
a = ap.parse_args()
if a.rows and not a.against:
    ap.error("the FastAPI peer has random codebooks: --rows needs --against")
sent = np.load(a.rows, mmap_mode="r") if a.rows else None
if a.rows:
    a.d = sent.shape[1]
embeddings = lambda n: common.embeddings(n, a.d) if sent is None else np.asarray(sent[-n:], "<f4")
FORMATS = dict(octets=common.OCTETS, json=common.JSON)
others = []  # processors that other programs kept busy, per round

def check(service, peer):
    x = embeddings(256)
    encode = lambda url, f: np.array(json.loads(common.call(url + "/encode", common.body(x, f), f))["semantic_ids"])
    codes = encode(service, common.OCTETS)
    if not a.rows and not np.array_equal(codes[:16], common.exact_codes(x[:16], common.codebooks(a.d, a.levels, a.k))):
        raise SystemExit("the service does not give the codes of the float64 loop")
    if not np.array_equal(codes, encode(service, common.JSON)):
        raise SystemExit("the service gives other codes for JSON than for octets")
    raw = common.call(service + "/encode", x.tobytes(), accept=common.OCTETS)
    if not np.array_equal(codes.ravel(), np.frombuffer(raw, "<i4")):
        raise SystemExit("the service answers other codes as octets than as JSON")
    for f in FORMATS.values():
        same = (codes == encode(peer, f)).all(1).mean()
        if same < (1 if a.against else 0.95):
            raise SystemExit("only %.0f%% of the peer's IDs are the service's" % (100 * same))
    checked = "" if a.rows else "the service's are those of the float64 loop, "
    print("Codes checked: %sthe peer's agree for %.1f%% of the rows.\n" % (checked, 100 * same))

def drive(url, pid, script, n, connections, seconds):
    load = lambda: resource.getrusage(resource.RUSAGE_CHILDREN)  # wrk's, once it has ended
    before, busy, wrk, began = common.cpu_seconds(pid), common.busy_seconds(), load(), time.monotonic()
    r = common.finish_wrk(common.start_wrk(url + "/encode", script, connections, seconds, min(a.wrk_threads, connections)))
    seconds, cpu = time.monotonic() - began, common.cpu_seconds(pid) - before
    own = cpu + load().ru_utime - wrk.ru_utime + load().ru_stime - wrk.ru_stime
    others.append(max(0, common.busy_seconds() - busy - own) / seconds)
    time.sleep(0.5)  # for what was in flight at the end
    return r["requests"] * n / r["seconds"], r["p50"], r["p99"], cpu / seconds

def cells(rounds):
    rate, p50, p99, cpu = map(statistics.median, zip(*rounds))
    return rate, ["%.0f" % rate, "%.1f" % p50, "%.1f" % p99, "%.1f" % cpu]

@contextlib.contextmanager
def started_peer(tmp):
    if a.against:
        with common.service(a, tmp, a.against) as peer:
            yield peer
        return
    port = common.free_port()
    command = [sys.executable, common.ROOT / "src/bench/peers/fastapi_peer.py", "--port", port,
               "--d", a.d, "--levels", a.levels, "--k", a.k]
    with common.process(command, tmp / "peer.log", "http://127.0.0.1:%d/openapi.json" % port) as p:
        yield "http://127.0.0.1:%d" % port, p.pid

with common.folder() as tmp, common.service(a, tmp) as (service, service_pid):
    with started_peer(tmp) as (peer, peer_pid):
        print("%s. d=%d, %d levels of %d. Latencies in ms.\n" % (common.machine(), a.d, a.levels, a.k))
        check(service, peer)
        common.table_head("format", "n", "connections", "service rows/s", "p50", "p99", "CPU", "peer rows/s", "p50", "p99", "CPU", "ratio")
        for name in a.formats.split(","):
            for case in a.cases.split(","):
                n, connections = map(int, case.split("x"))
                body = common.body(embeddings(n), FORMATS[name])
                script = common.wrk_script(tmp / ("%s-%d.lua" % (name, n)), body, FORMATS[name])
                servers = (service, service_pid, []), (peer, peer_pid, [])
                for r in range(a.rounds + 1):
                    for url, pid, rounds in servers:
                        result = drive(url, pid, script, n, connections, a.seconds if r else a.warmup)
                        if r:
                            rounds.append(result)
                (ours, left), (theirs, right) = (cells(rounds) for _, _, rounds in servers)
                common.table_row(name, n, connections, *left, *right, "%.2f" % (ours / theirs))
        print("\nOther programs kept %.2f CPUs busy in the median round, %.2f in the worst." % (statistics.median(others), max(others)))
