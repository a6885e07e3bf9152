/**
 * The backend for NVIDIA GPUs of compute capability 8.0 and later: {@link
 * dev.semanticid.backend.cuda.CudaBackend} calls the driver and cuBLAS through Java's
 * foreign-function interface, with kernels of our own that the driver compiles.
 */
@NullMarked
package dev.semanticid.backend.cuda;

import org.jspecify.annotations.NullMarked;
