"""What PyTorch does with the same work on the same GPU, as rows of gpu-check's table: codes by one float32 GEMM a level, which proves
nothing of its choices, and mini-batch k-means. Arguments as GpuCheck's; --device=cpu tries the script without a GPU."""
import argparse
import statistics
import time

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--rows", type=int, default=65_536)
parser.add_argument("--dimension", type=int, default=2048)
parser.add_argument("--training-rows", type=int, default=1_000_000)
parser.add_argument("--threads", type=int)
parser.add_argument("--device", default="cuda")
arguments = parser.parse_args()

LEVELS, WIDTH, BATCH, BUFFER = 3, 256, 2048, 3072
device = torch.device(arguments.device)
torch.backends.cuda.matmul.allow_tf32 = False
torch.manual_seed(1)
d = arguments.dimension


def finished():
    if device.type == "cuda":
        torch.cuda.synchronize()


def median(work, runs=7):
    work()
    finished()
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        finished()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def tell(what, result):
    print(f"| PyTorch {torch.__version__}: {what} | {result} |", flush=True)


def nearest(residuals, centroids, squares):
    return torch.argmin(torch.addmm(squares, residuals, centroids.T, alpha=-2), dim=1)


def encode(rows, levels):
    residuals, codes = rows, []
    for centroids, squares in levels:
        residuals = torch.nn.functional.normalize(residuals, dim=1)
        code = nearest(residuals, centroids, squares)
        codes.append(code)
        residuals = residuals - centroids[code]
    return torch.stack(codes, dim=1)


def rates(n):
    levels = []
    for _ in range(LEVELS):
        centroids = torch.randn(WIDTH, d, device=device) * 0.7 / d**0.5
        levels.append((centroids, (centroids**2).sum(dim=1)))
    host = torch.randn(n, d)
    if device.type == "cuda":
        host = host.pin_memory()
    there = host.to(device)
    out = torch.empty(n, LEVELS * WIDTH, device=device)
    stacked = torch.cat([centroids for centroids, _ in levels])
    seconds = median(lambda: there.copy_(host, non_blocking=True))
    tell("pinned copies to the device", f"{4 * n * d / seconds / 1e9:.1f} GB/s, {n / seconds:,.0f} rows/s")
    seconds = median(lambda: torch.mm(there, stacked.T, out=out))
    tell("float32 products alone", f"{2 * n * d * LEVELS * WIDTH / seconds / 1e12:.1f} TFLOP/s, {n / seconds:,.0f} rows/s")
    seconds = median(lambda: encode(host.to(device, non_blocking=True), levels).cpu())
    tell("pinned host to codes", f"{n / seconds:,.0f} rows/s")
    seconds = median(lambda: encode(there, levels))
    tell("device to codes", f"{n / seconds:,.0f} rows/s")


def plus_plus(rows):
    """k-means++: each centre by the squared distance to those before it."""
    chosen = [int(torch.randint(len(rows), (1,)))]
    distances = ((rows - rows[chosen[0]]) ** 2).sum(dim=1)
    while len(chosen) < WIDTH:
        chosen.append(int(torch.multinomial(distances, 1)))
        distances = torch.minimum(distances, ((rows - rows[chosen[-1]]) ** 2).sum(dim=1))
    return rows[chosen].clone()


def train(rows, steps):
    """Level after level, batches in a random order, a centroid by the running mean of its rows."""
    done = []

    def residuals_of(index):
        residuals = torch.nn.functional.normalize(rows[index], dim=1)
        for centroids in done:
            code = nearest(residuals, centroids, (centroids**2).sum(dim=1))
            residuals = torch.nn.functional.normalize(residuals - centroids[code], dim=1)
        return residuals

    for _ in range(LEVELS):
        order = torch.randperm(len(rows), device=device)
        centroids = plus_plus(residuals_of(order[:BUFFER]))
        counts = torch.zeros(WIDTH, device=device)
        begin = 0
        for _ in range(steps // LEVELS):
            if begin + BATCH > len(rows):
                order, begin = torch.randperm(len(rows), device=device), 0
            batch = residuals_of(order[begin : begin + BATCH])
            begin += BATCH
            code = nearest(batch, centroids, (centroids**2).sum(dim=1))
            sums = torch.zeros_like(centroids).index_add_(0, code, batch)
            found = torch.bincount(code, minlength=WIDTH).float()
            counts += found
            centroids += (sums - found[:, None] * centroids) / counts.clamp(min=1)[:, None]
        done.append(centroids)


with torch.inference_mode():
    rates(arguments.rows)
    n = arguments.training_rows
    if n > 0:
        centres = torch.randn(4096, d, device=device)
        rows = torch.empty(n, d, device=device)
        for begin in range(0, n, 65_536):
            some = rows[begin : begin + 65_536]
            some.copy_(centres[torch.randint(4096, (len(some),), device=device)] + torch.rand_like(some) - 0.5)
        steps = min(3000, max(30, 10 * LEVELS * -(-n // BATCH)))
        finished()
        began = time.perf_counter()
        train(rows, steps)
        finished()
        seconds = time.perf_counter() - began
        tell(f"training 3 × 256 on {n:,} rows of {d}, which are on the device",
             f"{seconds:.1f} s, {steps:,} steps of {BATCH:,} rows, {steps * BATCH / seconds:,.0f} rows/s")
