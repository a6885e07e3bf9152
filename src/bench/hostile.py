#!/usr/bin/python3
"""POST /encode of one row beside clients that want to hurt the service: latency alone and under each attack, in the same minutes.

Starts the service with the image's heap, so that it ends itself when the heap is full. Each phase lasts --seconds; an attack runs in
a process of its own, on the same processors, and each of its clients sends a request a second. Prints p50 and p99 in ms beside the attack, p99 over p99 alone (mean of before and after), how the attackers'
requests were answered (0: given up by the attacker), and the most memory that requests had reserved.
Usage: hostile.py [--seconds 10] [--connections 2] [--d 384] [--jar target/semantic-id-service.jar]
"""
import collections, http.client, json, multiprocessing, socket, struct, threading, time
import numpy as np
import common

ap = common.parser(__doc__)
ap.set_defaults(d=384, java_options="-Xmx921m -XX:+ExitOnOutOfMemoryError")
ap.add_argument("--seconds", type=float, default=10, help="of each phase")
ap.add_argument("--connections", type=int, default=2)
a = ap.parse_args()
ROW = common.embeddings(1, a.d).tobytes()
OCTETS = {"Content-Type": common.OCTETS}


def latencies(port):
    """Times in ms of requests of one row over a few connections, and the statuses of those that failed."""
    times, failures = [], collections.Counter()

    def client():
        connection, end = http.client.HTTPConnection("127.0.0.1", port, timeout=60), time.perf_counter() + a.seconds
        while time.perf_counter() < end:
            began = time.perf_counter()
            connection.request("POST", "/encode", ROW, {**OCTETS, "Accept": common.OCTETS})
            answer = connection.getresponse()
            answer.read()
            times.append(1000 * (time.perf_counter() - began))
            failures[answer.status] += answer.status != 200

    threads = [threading.Thread(target=client) for _ in range(a.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return np.array(times), {status: n for status, n in failures.items() if n}


def post(path, body, headers=OCTETS):
    def request(connection, i):
        connection.request("POST", path(i) if callable(path) else path, body, headers)
        return connection.getresponse().status
    return request


def promise(path, start, length):
    """Announces a body, sends its beginning, and leaves after a while."""
    def request(connection, i):
        connection.putrequest("POST", path)
        connection.putheader("Content-Type", common.OCTETS)
        connection.putheader("Content-Length", str(length))
        connection.endheaders(start)
        time.sleep(2)
        return 0
    return request


def unread(path, body):
    """Sends a request and does not read its answer."""
    def request(connection, i):
        connection.connect()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.request("POST", path, body, OCTETS)
        time.sleep(2)
        return 0
    return request


def attack(port, clients, request, statuses):
    def client(i):
        while True:
            connection, status = http.client.HTTPConnection("127.0.0.1", port, timeout=4), 0
            try:
                status = request(connection, i)
            except OSError:
                pass
            connection.close()
            with statuses.get_lock():
                statuses[status] += 1
            if status:
                time.sleep(1)  # the harm of the requests is measured, and not that of their number
    for i in range(clients):
        threading.Thread(target=client, args=(i,), daemon=True).start()
    time.sleep(3600)


def metric(url, name):
    lines = common.call(url + "/actuator/prometheus", accept="*/*").decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(name + " "))


def attacks(root):
    lie = b'{"level_0":{"dtype":"F32","shape":[3276800,16],"data_offsets":[0,209715200]}}'
    lie = struct.pack("<Q", len(lie)) + lie
    glob = json.dumps({"source": {"uri": "file://%s/%sb" % (root, "*a" * 100)}})
    return {
        "compare, 12 that leave after 4 s": (12, post("/codebooks/wide/compare?from=1&to=2", ROW)),
        "codebooks promised, 20": (20, promise("/codebooks/lie/versions", lie, len(lie) + 209715200)),
        "rows promised, 60": (60, promise("/encode", b"\0" * 4, 16000 * a.d * 4)),
        "answers not read, 40": (40, unread("/encode?include=reconstruction,margins", common.embeddings(256, a.d).tobytes())),
        "8 versions in turn, 40": (40, post(lambda i: "/encode?codebook=many&version=%d" % (1 + (i + int(10 * time.time())) % 8), ROW)),
        "globs of 100 stars, 8": (8, post("/train", glob, {"Content-Type": common.JSON})),
    }


with common.folder() as tmp:
    root = tmp / "root"
    root.mkdir()
    for i in range(50):
        (root / ("a" * 200 + str(i))).touch()
    with common.service(a, tmp, "--semantic-id.data-root=%s" % root) as (url, pid):
        port = int(url.rsplit(":", 1)[1])
        for name, k, versions in (("wide", 1024, 2), ("many", a.k, 8)):
            for seed in range(versions):
                levels = np.random.default_rng(seed).standard_normal((a.levels, k, a.d)).astype("f4")
                common.call(url + "/codebooks/%s/versions?activate=true" % name, common.safetensors(levels))
        latencies(port)  # warm
        alone, _ = latencies(port)
        print("%-34s %7.2f %7.2f" % ("alone", np.median(alone), np.percentile(alone, 99)), flush=True)
        for name, (clients, request) in attacks(root).items():
            statuses, reserved, over = multiprocessing.Array("L", 600), [0], threading.Event()
            attacker = multiprocessing.Process(target=attack, args=(port, clients, request, statuses), daemon=True)
            attacker.start()

            def watch():
                while not over.wait(1):
                    reserved.append(metric(url, "semantic_id_request_memory_bytes"))
            watcher = threading.Thread(target=watch)
            watcher.start()
            time.sleep(1)
            beside, failures = latencies(port)
            over.set()
            watcher.join()
            attacker.kill()
            attacker.join()
            time.sleep(6)
            again, _ = latencies(port)
            p99 = [np.percentile(times, 99) for times in (alone, beside, again)]
            print("%-34s %7.2f %7.2f %6.2f  %s %4.0f MB %s" % (
                name, np.median(beside), p99[1], 2 * p99[1] / (p99[0] + p99[2]),
                {status: n for status, n in enumerate(statuses) if n}, max(reserved) / 1e6, failures or ""), flush=True)
            alone = again
