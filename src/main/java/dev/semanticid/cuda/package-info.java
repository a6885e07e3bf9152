/**
 * The backend on NVIDIA's driver and cuBLAS, for GPUs of compute capability 8.0 and later: through
 * Java's own calls of native functions, with kernels of ours that the driver compiles.
 */
@NullMarked
package dev.semanticid.cuda;

import org.jspecify.annotations.NullMarked;
