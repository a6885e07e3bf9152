"""What the benchmarks share: codebooks and bodies, a service of their own, wrk, and a look at a process."""
import argparse, contextlib, glob, json, os, pathlib, platform, re, shlex, shutil, signal, socket, struct, subprocess, sys, tempfile, time
import urllib.request
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
OCTETS, JSON = "application/octet-stream", "application/json"
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that finally stops what was started


def parser(doc):
    ap = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--d", type=int, default=2048)
    ap.add_argument("--levels", type=int, default=3)
    ap.add_argument("--k", type=int, default=256)
    ap.add_argument("--rows", help="an npy file of real embeddings: trains on them and sends them, instead of random ones")
    ap.add_argument("--jar", default=ROOT / "target/semantic-id-service.jar")
    ap.add_argument("--java-options", default="", help="more options for the JVM, say -Xmx512m")
    ap.add_argument("--service-options", default="", help="more options for the service, say --semantic-id.threads=1")
    return ap


def codebooks(d, levels, k):
    return (np.random.default_rng(0).standard_normal((levels, k, d)) / d**0.5).astype("f4")


def embeddings(n, d):
    return np.random.default_rng(1).standard_normal((n, d)).astype("<f4")


def body(x, content_type):
    if content_type == OCTETS:
        return x.tobytes()
    return ('{"embeddings":[%s]}' % ",".join("[%s]" % ",".join("%.9g" % v for v in row) for row in x)).encode()


def safetensors(levels):
    header, end = {"__metadata__": {"normalize_residuals": "true"}}, 0
    for i, c in enumerate(levels):
        header["level_%d" % i] = dict(dtype="F32", shape=c.shape, data_offsets=(end, end + c.nbytes))
        end += c.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(c.tobytes() for c in levels)


def exact_codes(x, levels):
    """The contract: normalised residuals and nearest centroids in float64, the first of equals."""
    residual, codes = x.astype("f8"), []
    for c in levels:
        u = residual / np.linalg.norm(residual, axis=1, keepdims=True)
        codes.append(np.stack([((row - c) ** 2).sum(1).argmin() for row in u]))
        residual = u - c[codes[-1]]
    return np.stack(codes, 1)


def call(url, data=None, content_type=OCTETS, accept=JSON):
    request = urllib.request.Request(url, data, {"Content-Type": content_type, "Accept": accept})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="semantic-id-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def process(command, log, ready_url):
    """Runs a server until the end of the block; comes up when ready_url answers."""
    with open(log, "wb") as out:
        p = subprocess.Popen(list(map(str, command)), stdout=out, stderr=out, cwd=log.parent, start_new_session=True)
    try:
        end = time.monotonic() + 60
        while True:
            if p.poll() is not None or time.monotonic() > end:
                raise SystemExit("%s did not come up:\n%s" % (command[0], log.read_text(errors="replace")[-2000:]))
            with contextlib.suppress(OSError):  # refused, or not ready yet
                call(ready_url)
                break
            time.sleep(0.1)
        yield p
        if p.poll() is not None:
            raise SystemExit("%s ended:\n%s" % (command[0], log.read_text(errors="replace")[-2000:]))
    finally:
        p.terminate()
        try:
            p.wait(30)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


def java():
    installed = sorted(glob.glob("/usr/lib/jvm/*25*/bin/java"))
    home = os.environ.get("JAVA_HOME")
    return installed[-1] if installed else home + "/bin/java" if home else "java"


def train(url, a):
    """A codebook of the rows, the same one on every service."""
    query = "?max_steps=90&seed=1&num_hierarchies=%d&codebook_width=%d" % (a.levels, a.k)
    job = json.loads(call(url + "/train" + query, pathlib.Path(a.rows).read_bytes(), "application/x-npy"))["id"]
    while (state := json.loads(call(url + "/train/" + job))["state"]) != "succeeded":
        if state not in ("queued", "running"):
            raise SystemExit("the training is " + state)
        time.sleep(0.5)


@contextlib.contextmanager
def service(a, tmp, options=None):
    """The packaged jar on a free port with an empty store and then the benchmark's codebook; gives (url, pid)."""
    url = "http://127.0.0.1:%d" % (port := free_port())
    jar = shutil.copy(a.jar, tmp / ("service-%d.jar" % port))  # a build meanwhile does no harm
    command = [java(), "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow", *shlex.split(a.java_options),
               "-jar", jar, "--server.address=127.0.0.1", "--server.port=%d" % port,
               "--semantic-id.data-dir=%s" % (tmp / ("data-%d" % port)),
               *shlex.split(a.service_options if options is None else options)]
    with process(command, tmp / ("service-%d.log" % port), url + "/actuator/health/readiness") as p:
        if a.rows:
            train(url, a)
        else:
            call(url + "/codebooks/default/versions?activate=true", safetensors(codebooks(a.d, a.levels, a.k)))
        yield url, p.pid


LUA = """\
wrk.method = "POST"
wrk.headers["Content-Type"] = "%s"
wrk.headers["Accept"] = "application/json"
local file = assert(io.open("%s", "rb"))
wrk.body = file:read("*a")
file:close()
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n{"requests": %%d, "seconds": %%f, "p50": %%f, "p99": %%f, ' ..
    '"errors": %%d, "timeouts": %%d, "socket_errors": %%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.status, e.timeout, e.connect + e.read + e.write))
end
"""


def wrk_script(path, content, content_type):
    """A script for wrk that posts content; gives its path."""
    data = path.with_suffix(".body")
    data.write_bytes(content)
    path.write_text(LUA % (content_type, data))
    return path


def start_wrk(url, script, connections, seconds, threads=1):
    command = ["wrk", "-t", threads, "-c", connections, "-d", "%ds" % seconds, "--timeout", "60s", "--latency", "-s", script, url]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish_wrk(p):
    """What it measured: requests, seconds, p50 and p99 in ms. Any request that failed ends the benchmark."""
    try:
        out = p.communicate()[0]
    finally:
        p.kill()
    lines = [line for line in out.splitlines() if line.startswith("{")]
    result = json.loads(lines[-1]) if lines else {}
    if not result.get("requests") or any(result[e] for e in ("errors", "timeouts", "socket_errors")):
        raise SystemExit("wrk failed:\n" + out)
    return result


def cpu_seconds(pid):
    fields = pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy_seconds():
    """CPU time of all processes so far."""
    user, nice, system, _, _, irq, softirq, steal = map(int, pathlib.Path("/proc/stat").read_text().split(None, 9)[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def memory(pid):
    """(VmRSS, RssAnon) in MB; zeros of a process that has ended."""
    with contextlib.suppress(OSError):
        found = dict(re.findall(r"(VmRSS|RssAnon):\s+(\d+) kB", pathlib.Path("/proc/%d/status" % pid).read_text()))
        return tuple(int(found.get(key, 0)) / 1024 for key in ("VmRSS", "RssAnon"))
    return 0, 0


def machine():
    model = re.search("model name\\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return "%s, %d CPUs, %s" % (model[1] if model else platform.machine(), os.cpu_count(), time.strftime("%Y-%m-%d"))


def table_row(*cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def table_head(*cells):
    table_row(*cells)
    print("|" + "---|" * len(cells), flush=True)
