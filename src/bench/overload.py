#!/usr/bin/python3
"""POST /encode under many more connections than the service can keep busy: what is accepted, what is refused, and its memory.

Octet-stream requests of n rows from this one process: first from few connections, then from --connections, then from one
again. A connection sends its next request when it has the answer to the last one; if that was no 200, --pause seconds later.
Times in ms, to the last byte of the answer, with the connecting where there was any; RSS, the most seen, in MB.
"reset" counts requests that got no whole answer. Starts a service of its own, or takes a running one of dimension --d by
--url, and its memory by --pid.
Usage: overload.py [--n 32] [--unloaded 1,2,4] [--connections 40] [--pause 0.1] [--seconds 10] [--warmup 5] [--url http://… --pid …]
       [--d 2048] [--levels 3] [--k 256] [--jar target/semantic-id-service.jar] [--java-options=-Xmx1g] [--service-options=...]
"""
import asyncio, collections, contextlib, socket, time, urllib.parse
import numpy as np
import common

ap = common.parser(__doc__)
ap.add_argument("--n", type=int, default=32)
ap.add_argument("--unloaded", default="1,2,4", help="connections before the overload")
ap.add_argument("--connections", type=int, default=40)
ap.add_argument("--pause", type=float, default=0.1)
ap.add_argument("--seconds", type=float, default=10, help="of each phase")
ap.add_argument("--warmup", type=float, default=5)
ap.add_argument("--url")
ap.add_argument("--pid", type=int)
a = ap.parse_args()

async def read_answer(s):
    """(status, headers) once all of the answer is there."""
    loop, answer, headers = asyncio.get_running_loop(), b"", None
    while True:
        chunk = await loop.sock_recv(s, 1 << 16)
        answer += chunk
        if headers is None and b"\r\n\r\n" in answer:
            head, _, answer = answer.partition(b"\r\n\r\n")
            status, *lines = head.decode("latin-1").split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        if headers is not None:
            length, chunked = headers.get("content-length"), headers.get("transfer-encoding") == "chunked"
            if len(answer) >= int(length) if length else chunked and answer.endswith(b"0\r\n\r\n"):
                return int(status.split()[1]), headers
        if not chunk:
            raise ConnectionResetError

async def exchange(s, request):
    """(status, headers, whether the socket can go on) of one request; an answer may come before all of it is sent."""
    sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(s, request))
    try:
        async with asyncio.timeout(60):
            status, headers = await read_answer(s)
        return status, headers, sending.done() and not sending.exception() and headers.get("connection", "").lower() != "close"
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

async def connection(address, request, end, results):
    """Sends requests until the end; appends (status, ms, Retry-After) of each."""
    s = None
    while time.perf_counter() < end:
        began = time.perf_counter()
        try:
            if s is None:
                s = socket.socket()
                s.setblocking(False)
                await asyncio.get_running_loop().sock_connect(s, address)
            status, headers, keep = await exchange(s, request)
        except (OSError, TimeoutError):
            status, headers, keep = "reset", {}, False
        results.append((status, 1e3 * (time.perf_counter() - began), headers.get("retry-after")))
        if not keep:
            s.close()
            s = None
        if status != 200:
            await asyncio.sleep(a.pause)
    if s is not None:
        s.close()

async def phase(name, address, request, pid, connections, seconds):
    results, most, began = [], (0, 0), time.perf_counter()
    running = [asyncio.create_task(connection(address, request, began + seconds, results)) for _ in range(connections)]
    while running:
        _, running = await asyncio.wait(running, timeout=0.2)
        if pid:
            most = tuple(map(max, most, common.memory(pid)))
    elapsed = time.perf_counter() - began
    if not name:
        return
    ms = lambda wanted: ["%.1f" % q for q in np.percentile(wanted, (50, 99))] if wanted else ["-", "-"]
    counts = collections.Counter(status for status, _, _ in results)
    common.table_row(name, connections, "%.0f" % (counts[200] * a.n / elapsed), *ms([t for status, t, _ in results if status == 200]),
                     "%.1f%%" % (100 * counts[429] / len(results)), *ms([t for status, t, _ in results if status == 429]),
                     ", ".join(sorted({after or "none" for status, _, after in results if status == 429})) or "-",
                     ", ".join("%d × %s" % (n, status) for status, n in counts.items() if status not in (200, 429)) or "-",
                     *("%.0f" % m if pid else "-" for m in most))

async def main(url, pid):
    at = urllib.parse.urlsplit(url)
    body = common.body(common.embeddings(a.n, a.d), common.OCTETS)
    request = ("POST /encode HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nAccept: %s\r\nContent-Length: %d\r\n\r\n"
               % (at.netloc, common.OCTETS, common.JSON, len(body))).encode() + body
    unloaded = [int(c) for c in a.unloaded.split(",")]
    phases = [(None, max(unloaded), a.warmup)] + [("unloaded", c, a.seconds) for c in unloaded]
    phases += [("overload", a.connections, a.seconds), ("after", 1, a.seconds)]
    print("%s. d=%d, %d levels of %d, n=%d.\n" % (common.machine(), a.d, a.levels, a.k, a.n))
    common.table_head("phase", "connections", "rows/s", "p50", "p99", "429", "p50", "p99", "Retry-After", "others", "VmRSS", "RssAnon")
    for name, connections, seconds in phases:
        await phase(name, (at.hostname, at.port or 80), request, pid, connections, seconds)

with contextlib.ExitStack() as stack:
    url, pid = (a.url, a.pid) if a.url else stack.enter_context(common.service(a, stack.enter_context(common.folder())))
    asyncio.run(main(url, pid))
