"""Residual quantization as one writes it in PyTorch: float32, normalised residuals, one matrix product per level."""
import pathlib, re
import torch
from torch.nn.functional import normalize

if not torch.backends.mkl.is_available() and not re.search("openblas|mkl|blis", pathlib.Path("/proc/self/maps").read_text()):
    raise SystemExit("this is the reference BLAS, 50 times slower than it need be: install libopenblas0-pthread")


class TorchQuantizer:
    def __init__(self, codebooks):
        self.levels = [(c, c.T, c.square().sum(1) / 2) for c in map(torch.from_numpy, codebooks)]

    @torch.inference_mode()
    def encode(self, x):
        """Codes (n, L) of a float32 array (n, d)."""
        residual, codes = torch.from_numpy(x), []
        for centroids, transposed, half_norms in self.levels:
            residual = normalize(residual)
            codes.append(torch.addmm(half_norms, residual, transposed, alpha=-1).argmin(1))
            residual = residual - centroids[codes[-1]]
        return torch.stack(codes, 1).numpy()
