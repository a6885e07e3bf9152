// The functions of the NVIDIA driver and of cuBLAS that dev.semanticid.backend.cuda calls, on a CPU, with the same kernels: so all that Java does and the
// kernels' arithmetic are tested where there is no GPU. Not for speed.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <unistd.h>
#include "warp.h"
#include "../../main/cuda/quantizer.cu"

#define EXPORT extern "C" __attribute__((visibility("default"))) int

static std::atomic<long long> allocated{0};
static std::atomic<long long> limit{1LL << 32};
EXPORT emulatorBytes(long long bytes) { limit = bytes; return 0; }

// What kernels and copies fail with from now on: what emulatorFail said, or an ECC error while the file EMULATED_GPU_BROKEN is there.
static std::atomic<int> failing{0};
static int status() {
  const char *file = std::getenv("EMULATED_GPU_BROKEN");
  return failing != 0 ? failing.load() : file && access(file, F_OK) == 0 ? 214 : 0;
}
EXPORT emulatorFail(int status) { failing = status; return 0; }

EXPORT cuInit(unsigned) { return 0; }
EXPORT cuDriverGetVersion(int *v) { *v = 12040; return 0; }
EXPORT cuDeviceGetCount(int *n) { const char *t = std::getenv("EMULATED_GPUS"); *n = t ? std::atoi(t) : 1; return 0; }
EXPORT cuDeviceGet(int *d, int) { *d = 0; return 0; }
EXPORT cuDeviceGetAttribute(int *v, int attribute, int) {
  const char *t = std::getenv("EMULATED_GPU_MAJOR");
  *v = attribute == 75 ? (t ? std::atoi(t) : 9) : 0;
  return 0;
}
EXPORT cuDeviceGetName(char *name, int size, int) { std::strncpy(name, "Emulated GPU", size); return 0; }
EXPORT cuDevicePrimaryCtxRetain(void **c, int) { *c = &allocated; return 0; }
EXPORT cuDevicePrimaryCtxRelease_v2(int) { return 0; }
EXPORT cuCtxSetCurrent(void *c) { return c == &allocated ? 0 : 201; }
EXPORT cuGetErrorName(int, const char **t) { *t = "CUDA_ERROR"; return 0; }
EXPORT cuGetErrorString(int, const char **t) { *t = "emulated error"; return 0; }
EXPORT cuModuleLoadData(void **m, const char *ptx) { *m = &allocated; return std::strstr(ptx, ".visible .entry quantize(") ? 0 : 218; }
EXPORT cuModuleGetFunction(void **f, void *, const char *name) { *f = (void *)&quantize; return std::strcmp(name, "quantize") ? 500 : 0; }
EXPORT cuMemAlloc_v2(void **p, size_t bytes) {
  if (allocated + (long long)bytes > limit) return 2;
  char *block = (char *)std::malloc(bytes + 64);
  *(size_t *)block = bytes;
  allocated += bytes;
  *p = block + 64;
  std::memset(*p, 0x7b, bytes);
  return 0;
}
EXPORT cuMemFree_v2(char *p) {
  allocated -= *(size_t *)(p - 64);
  std::free(p - 64);
  return 0;
}
EXPORT cuMemHostAlloc(void **p, size_t bytes, unsigned) { *p = std::malloc(bytes); return *p ? 0 : 2; }
EXPORT cuMemFreeHost(void *p) { std::free(p); return 0; }
EXPORT cuMemcpyHtoDAsync_v2(void *to, const void *from, size_t bytes, void *) { std::memcpy(to, from, bytes); return 0; }
EXPORT cuMemcpyDtoHAsync_v2(void *to, const void *from, size_t bytes, void *) { std::memcpy(to, from, bytes); return 0; }
EXPORT cuStreamCreate(void **s, unsigned) { *s = &allocated; return 0; }
EXPORT cuStreamSynchronize(void *) { return status(); }
EXPORT cuStreamDestroy_v2(void *) { return 0; }
EXPORT cuLaunchKernel(void *f, unsigned blocks, unsigned, unsigned, unsigned threads, unsigned, unsigned, unsigned, void *, void **p, void **) {
  int n = *(int *)p[3];
  if (f != (void *)&quantize || (unsigned long long)blocks * (threads / 32) < (unsigned)n) return 1;
  warp.run(blocks * (threads / WARP), [&] { quantize(*(Codebook *)p[0], *(float **)p[1], *(float **)p[2], n, *(int **)p[4]); });
  return 0;
}

EXPORT cublasCreate_v2(void **h) { *h = &allocated; return 0; }
EXPORT cublasDestroy_v2(void *) { return 0; }
EXPORT cublasSetStream_v2(void *, void *) { return 0; }
EXPORT cublasSetWorkspace_v2(void *, void *, size_t) { return 0; }
EXPORT cublasSetMathMode(void *, int mode) { return mode == 2 ? 0 : 7; }
EXPORT cublasSgemm_v2(void *, int ta, int tb, int m, int n, int k, const float *alpha, const float *a, int lda, const float *b, int ldb, const float *beta, float *c, int ldc) {
  if (ta != 1 || tb != 0 || *alpha != 1 || *beta != 0) return 7;
  for (int j = 0; j < n; j++)
    for (int i = 0; i < m; i++) {
      float sum = 0;
      for (int l = 0; l < k; l++) sum += a[(size_t)i * lda + l] * b[(size_t)j * ldb + l];
      c[(size_t)j * ldc + i] = sum;
    }
  return 0;
}
