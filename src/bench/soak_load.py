#!/usr/bin/python3
"""Memory of a service under steady load: octet-stream requests by wrk for --minutes, one line of a table a minute.

RSS, in MB, is the most of samples taken every --sample seconds. Heap bytes per row are the growth of the counters
jvm_gc_memory_allocated_bytes_total, which moves at collections and leaves out what G1 allocates as humongous, and
semantic_id_encoded_rows_total. Starts a service of its own, or takes a running one of dimension --d by --url and --pid.
Usage: soak_load.py [--minutes 10] [--n 256] [--connections 4] [--sample 5] [--report 60] [--url http://… --pid …]
       [--d 2048] [--levels 3] [--k 256] [--jar target/semantic-id-service.jar] [--java-options=-Xmx1g] [--service-options=...]
"""
import contextlib, re, time
import common

ap = common.parser(__doc__)
ap.add_argument("--minutes", type=float, default=10)
ap.add_argument("--n", type=int, default=256)
ap.add_argument("--connections", type=int, default=4)
ap.add_argument("--sample", type=float, default=5)
ap.add_argument("--report", type=float, default=60, help="seconds of a line")
ap.add_argument("--url")
ap.add_argument("--pid", type=int)
a = ap.parse_args()
if a.url and not a.pid:
    ap.error("--url needs --pid")

def counters(url):
    """(monotonic time, rows encoded, bytes allocated) so far."""
    text = common.call(url + "/actuator/prometheus", accept="text/plain").decode()
    total = lambda name: sum(float(v) for v in re.findall("^%s(?:{.*})? (\\S+)$" % name, text, re.M))
    return time.monotonic(), total("semantic_id_encoded_rows_total"), total("jvm_gc_memory_allocated_bytes_total")

def line(name, before, now, samples):
    seconds, rows, allocated = (y - x for x, y in zip(before, now))
    most = (max(m) for m in zip(*samples))
    common.table_row(name, *("%.0f" % m for m in most), "%.0f" % (rows / seconds), "%.0f" % (allocated / rows) if rows else "-")

with contextlib.ExitStack() as stack:
    tmp = stack.enter_context(common.folder())
    url, pid = (a.url, a.pid) if a.url else stack.enter_context(common.service(a, tmp))
    script = common.wrk_script(tmp / "load.lua", common.body(common.embeddings(a.n, a.d), common.OCTETS), common.OCTETS)
    print("%s. d=%d, %d levels of %d, n=%d, %d connections.\n" % (common.machine(), a.d, a.levels, a.k, a.n, a.connections))
    common.table_head("minute", "VmRSS", "RssAnon", "rows/s", "heap bytes per row")
    wrk = common.start_wrk(url + "/encode", script, a.connections, round(60 * a.minutes))
    stack.callback(wrk.kill)
    first = last = counters(url)
    all_samples, samples = [], []
    while wrk.poll() is None:
        time.sleep(max(0, min(a.sample, first[0] + 60 * a.minutes - time.monotonic())) or 0.1)
        samples.append(common.memory(pid))
        if time.monotonic() - last[0] >= a.report - a.sample / 2:
            now = counters(url)
            line("%.1f" % ((now[0] - first[0]) / 60), last, now, samples)
            last, samples, all_samples = now, [], all_samples + samples
    result = common.finish_wrk(wrk)
    line("all", first, counters(url), all_samples + samples)
    print("\nwrk: %.0f rows/s, p50 %.1f ms, p99 %.1f ms, no failures"
          % (result["requests"] * a.n / result["seconds"], result["p50"], result["p99"]))
