// Decides codes on the device from the products S = X·Cᵀ of all levels: dev.semanticid.core.encode.plan.StackedWorker, one warp a row, where the
// bounds are explained. What they do not prove is left open (-1), from that level on, and decided in Java.
//
// Compiled by nvcc to PTX (build, beside this file), and by a C++ compiler for tests without a GPU, where src/test/cuda/emulator.cpp has
// what a warp is.

#ifdef __CUDACC__
#define WARP 32
#define LANE (int)(threadIdx.x % WARP)
#define FIRST_ROW (blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP)
#define ROW_STEP (gridDim.x * (blockDim.x / WARP))
__device__ static double sumOfWarp(double v) {
  for (int offset = WARP / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(~0u, v, offset);
  return v;
}
// NaN goes through to where it is seen.
__device__ static float minOfWarp(float v) {
  for (int offset = WARP / 2; offset > 0; offset /= 2) {
    float other = __shfl_xor_sync(~0u, v, offset);
    v = isnan(v) || v < other ? v : other;
  }
  return v;
}
__device__ static unsigned lanesWhere(bool condition) { return __ballot_sync(~0u, condition); }
__device__ static int lowestLane(unsigned lanes) { return __ffs(lanes) - 1; }
#endif

#define MOST_LEVELS 16
#define MOST_CANDIDATES 64

// Laid out as CudaEncoder writes it.
struct Codebook {
  int dimension, levels, totalWidth, normalized;
  double gamma, maxNorm;
  const float *centroids;          // totalWidth × dimension
  const float *offsets;            // totalWidth: ½‖C‖² + w
  const double *offsets64, *squaredNorms, *norms;  // totalWidth
  const double *maxNorms, *maxWeights;             // levels
  const int *begins;               // levels + 1: number of a level's first centroid
  const float *grams;              // the tables G_jl one after the other
  const double *grams64;
  const long long *gramBegins;     // levels × levels: where G_jl begins
  const int *zeroCodes;            // levels
};

static const double U = 0x1p-53;
static const double U_FLOAT = 0x1p-24;
static const double SLACK = 1.001;
static const double LARGEST = 1e30;
static const double EXHAUSTED = 1e-6;

// The coefficients of a row's residual and their errors, by the names of StackedPath.
struct Path {
  double a, terms, epsilon, squaredU, squaredUError;
  double b[MOST_LEVELS];
  int codes[MOST_LEVELS];
};

__device__ static double dotOf(const float *x, const float *c, int d) {
  double sum = 0;
  for (int i = LANE; i < d; i += WARP) sum += (double)x[i] * c[i];
  return sumOfWarp(sum);
}

// ũ_l·C_l[k], of the dot product with x.
__device__ static double product(const Codebook &m, const Path &p, int l, int k, double dot) {
  double sum = p.a * dot;
  int width = m.begins[l + 1] - m.begins[l];
  for (int j = 0; j < l; j++)
    sum -= p.b[j] * m.grams64[m.gramBegins[j * m.levels + l] + (long long)p.codes[j] * width + k];
  return sum;
}

// s[k] in float32, from the products with x.
__device__ static float scoreOf(const Codebook &m, const Path &p, int l, const float *s, int k) {
  int begin = m.begins[l], width = m.begins[l + 1] - begin;
  float score = fmaf(-(float)p.a, s[begin + k], m.offsets[begin + k]);
  for (int j = 0; j < l; j++)
    score = fmaf((float)p.b[j], m.grams[m.gramBegins[j * m.levels + l] + (long long)p.codes[j] * width + k], score);
  return score;
}

// The code of level l with its dot product, or -1.
__device__ static int choose(const Codebook &m, const Path &p, int l, const float *x, double xNorm, const float *s, double *dot) {
  int begin = m.begins[l], width = m.begins[l + 1] - begin;
  double max = m.maxNorms[l];
  double squares = p.terms * max + max * max + 2 * m.maxWeights[l];
  if (!(squares <= LARGEST)) return -1;
  double tau = (m.dimension + 4) * U;
  double reach = sqrt(p.squaredU + p.squaredUError) + max;
  double error = tau * p.terms * max + p.epsilon * max + 0.5 * tau * (reach * reach + max * max) + (m.levels + 4) * U * squares;
  double sumOfB = 0;
  for (int j = 0; j < l; j++) sumOfB += p.b[j];
  double floatError = SLACK * (error + p.a * m.gamma * xNorm * max + (m.levels + 4) * U_FLOAT * squares
                               + (1 + p.a + sumOfB) * m.dimension * 0x1p-125 * (1 + xNorm + max));
  float least = INFINITY;
  for (int k = LANE; k < width; k += WARP) {
    float score = scoreOf(m, p, l, s, k);
    least = isnan(least) || least < score ? least : score;
  }
  least = minOfWarp(least);
  if (!isfinite(least)) return -1;
  double limit = (double)least + 2 * floatError;
  // Those that may be the lowest, by float64 dot products if there are several.
  double tolerance = 2 * SLACK * error;
  double best = INFINITY, second = INFINITY;
  int code = -1, count = 0;
  for (int base = 0; base < width; base += WARP) {
    int k = base + LANE;
    unsigned lanes = lanesWhere(k < width && scoreOf(m, p, l, s, k < width ? k : 0) <= limit);
    while (lanes != 0) {
      int lane = lowestLane(lanes);
      lanes &= lanes - 1;
      if (++count > MOST_CANDIDATES) return -1;
      int candidate = base + lane;
      double its = dotOf(x, m.centroids + (long long)(begin + candidate) * m.dimension, m.dimension);
      double score = m.offsets64[begin + candidate] - product(m, p, l, candidate, its);
      if (score < best) {
        second = best;
        best = score;
        code = candidate;
        *dot = its;
      } else if (score < second) {
        second = score;
      }
    }
  }
  return count == 1 || second > best + tolerance ? code : -1;
}

// Carries the coefficients and their errors to the level below l; false if they cannot be trusted there.
__device__ static bool descend(const Codebook &m, Path &p, int l, double xNorm, double dot) {
  int k = p.codes[l], at = m.begins[l] + k;
  double tau = (m.dimension + 4) * U;
  double cSquared = m.squaredNorms[at], cNorm = m.norms[at];
  double nuSquared = p.squaredU - 2 * product(m, p, l, k, dot) + cSquared;
  double delta = SLACK * (p.squaredUError + 2 * ((tau + (m.levels + 4) * U) * p.terms + p.epsilon) * cNorm + tau * cSquared
                          + 8 * U * (p.squaredU + 2 * p.terms * cNorm + cSquared));
  double nu = sqrt(nuSquared);
  if (!(nuSquared > 4 * delta) || (m.normalized && nu <= 2 * EXHAUSTED)) return false;
  if (m.normalized) {
    p.a /= nu;
    p.terms = p.a * xNorm;
    for (int j = 0; j < l; j++) {
      p.b[j] /= nu;
      p.terms += p.b[j] * m.norms[m.begins[j] + p.codes[j]];
    }
    p.b[l] = 1 / nu;
    p.terms += p.b[l] * cNorm;
    p.epsilon = SLACK * ((p.epsilon + delta / nu) / nu + tau + 2 * U * p.terms);
  } else {
    p.b[l] = 1;
    p.terms += cNorm;
    p.epsilon = SLACK * (p.epsilon + 2 * U * nu);
    p.squaredU = nuSquared;
    p.squaredUError = delta + 3 * U * nuSquared;
  }
  return true;
}

__device__ static void quantizeRow(const Codebook &m, const float *x, const float *s, int *codes) {
  double squaredNorm = dotOf(x, x, m.dimension);
  double xNorm = sqrt(squaredNorm);
  Path p;
  int known = 0;
  if (xNorm == 0 && m.normalized) {
    for (; known < m.levels; known++) p.codes[known] = m.zeroCodes[known];
  } else if (xNorm >= 1e-12 && xNorm <= 1e12 && xNorm * m.maxNorm >= 1e-25 && xNorm * m.maxNorm <= LARGEST) {
    double tau = (m.dimension + 4) * U;
    p.a = m.normalized ? 1 / xNorm : 1;
    p.terms = p.a * xNorm;
    p.epsilon = m.normalized ? tau : 0;
    p.squaredU = m.normalized ? 1 : squaredNorm;
    p.squaredUError = m.normalized ? 2 * tau : tau * squaredNorm;
    while (known < m.levels) {
      double dot;
      int code = choose(m, p, known, x, xNorm, s, &dot);
      if (code < 0) break;
      p.codes[known++] = code;
      if (known < m.levels && !descend(m, p, known - 1, xNorm, dot)) break;
    }
  }
  for (int l = LANE; l < m.levels; l += WARP) codes[l] = l < known ? p.codes[l] : -1;
}

// vectors: n × dimension; products: n × totalWidth; codes: receives n × levels.
extern "C" __global__ void quantize(Codebook m, const float *__restrict__ vectors, const float *__restrict__ products, int n, int *codes) {
  for (long long row = FIRST_ROW; row < n; row += ROW_STEP)
    quantizeRow(m, vectors + row * m.dimension, products + row * m.totalWidth, codes + row * m.levels);
}
