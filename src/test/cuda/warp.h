// A warp on a CPU: 32 lanes with stacks of their own, of which one runs until it needs what the others have. Lanes that do not all come to
// the same call, which a GPU does not forgive either, end the process.
#include <csetjmp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <ucontext.h>

#define WARP 32

class Warp {
 public:
  int lane = 0;
  long long firstRow = 0, rowStep = 0;

  // Runs a kernel's body in all lanes, for as many warps as a launch has, one after the other.
  void run(long long warps, const std::function<void()> &body) {
    this->warps = warps;
    this->body = &body;
    rowStep = warps;
    if (!stacks) stacks.reset(new char[WARP * STACK]);
    for (int i = 0; i < WARP; i++) {
      started[i] = false;
      calls[i] = 0;
    }
    lane = 0;
    if (_setjmp(end) == 0) enter(0);
  }

  // Gives what each lane has come with; tag says what for.
  template <typename T>
  const T *exchange(int tag, T value) {
    long long call = calls[lane]++;
    Slots &slots = both[call % 2];
    ((T *)slots.values)[lane] = value;
    slots.tags[lane] = call * 8 + tag;
    next();
    for (int i = 0; i < WARP; i++)
      if (slots.tags[i] != call * 8 + tag) {
        std::fprintf(stderr, "lanes %d and %d of a warp have parted\n", lane, i);
        std::abort();
      }
    return (const T *)slots.values;
  }

 private:
  static const size_t STACK = 1 << 17;
  // Those of a call are read before any lane comes to the call after the next.
  struct Slots {
    double values[WARP];
    long long tags[WARP];
  } both[2];
  long long calls[WARP], warps;
  bool started[WARP];
  jmp_buf at[WARP], end;
  ucontext_t contexts[WARP];
  std::unique_ptr<char[]> stacks;
  const std::function<void()> *body;

  void next() {
    int from = lane;
    lane = (lane + 1) % WARP;
    if (_setjmp(at[from]) != 0) return;
    if (started[lane]) _longjmp(at[lane], 1);
    enter(lane);
  }

  void enter(int i) {
    started[i] = true;
    getcontext(&contexts[i]);
    contexts[i].uc_stack.ss_sp = &stacks[i * STACK];
    contexts[i].uc_stack.ss_size = STACK;
    contexts[i].uc_link = nullptr;
    makecontext(&contexts[i], (void (*)())begin, 0);
    setcontext(&contexts[i]);
  }

  static void begin();

  void work() {
    for (long long warp = 0; warp < warps; warp++) {
      firstRow = warp;
      (*body)();
      exchange(0, 0);
    }
    _longjmp(end, 1);
  }
};

static thread_local Warp warp;
void Warp::begin() { warp.work(); }

#define LANE warp.lane
#define FIRST_ROW warp.firstRow
#define ROW_STEP warp.rowStep
#define __device__
#define __global__

using std::isfinite;
using std::isnan;

// In the order of the GPU's butterfly.
static double sumOfWarp(double v) {
  double sums[WARP];
  const double *all = warp.exchange(1, v);
  for (int i = 0; i < WARP; i++) sums[i] = all[i];
  for (int offset = WARP / 2; offset > 0; offset /= 2)
    for (int i = 0; i < offset; i++) sums[i] += sums[i + offset];
  return sums[0];
}
static float minOfWarp(float v) {
  const float *all = warp.exchange(2, v);
  float least = all[0];
  for (int i = 1; i < WARP; i++) least = std::isnan(least) || least < all[i] ? least : all[i];
  return least;
}
static unsigned lanesWhere(bool condition) {
  const bool *all = warp.exchange(3, condition);
  unsigned lanes = 0;
  for (int i = 0; i < WARP; i++) lanes |= (unsigned)all[i] << i;
  return lanes;
}
static int lowestLane(unsigned lanes) { return __builtin_ctz(lanes); }
