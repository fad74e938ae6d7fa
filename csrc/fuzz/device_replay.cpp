// Runs the device's kernels where sanitizers can watch them: the context model's decoder on damaged streams,
// its memory exactly as large as it has to be, and on whole ones with every warp of every block a thread, so
// that a barrier or a flag that is missing is a race. A plain main(), which tests/sanitize.sh builds and
// runs. Prints how many streams it tried, or dies.
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"
#include "context/context.h"
#include "context/device.h"
#include "context/launch.h"
#include "fuzz/random_model.h"

namespace {

using namespace pycodec;
using namespace pycodec::context;

class Barrier {
 public:
  explicit Barrier(int count) : count_(count) {}
  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    const long round = round_;
    if (++here_ == count_) {
      here_ = 0;
      ++round_;
      all_.notify_all();
    } else {
      all_.wait(lock, [&] { return round_ != round; });
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_;
  const int count_;
  int here_ = 0;
  long round_ = 0;
};

// What one warp sees of its block.
class ThreadBlock {
 public:
  ThreadBlock(int warp, int warps, Barrier& all, Barrier& others)
      : warp_(warp), warps_(warps), all_(all), others_(others) {}

  int warps() const { return warps_; }
  template <class F>
  void for_each(size_t count, F f, int first = 0) const {
    if (warp_ < first) return;
    for (size_t i = 0; i < count; ++i) {
      if (i / kWarpLanes % (warps_ - first) == static_cast<size_t>(warp_ - first)) f(i);
    }
  }
  template <class F>
  void for_each_warp(int count, F f, int first = 0) const {
    Warp warp(warp_);
    if (warp_ < first) return;
    for (int i = warp_ - first; i < count; i += warps_ - first) f(warp, i);
  }
  template <class F>
  void in_first_warp(F f) const {
    Warp warp;
    if (warp_ == 0) f(warp);
  }
  bool is_first_warp() const { return warp_ == 0; }
  template <class F>
  void once(F f) const {
    if (warp_ == 0) f();
  }
  void sync() const { all_.wait(); }
  void sync_others() const {
    if (warp_ > 0) others_.wait();
  }
  void wait(const uint32_t* flag, uint32_t value) const {
    while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) < value) std::this_thread::yield();
  }
  void publish(uint32_t* flag, uint32_t value) const {
    if (warp_ == 0) __atomic_store_n(flag, value, __ATOMIC_RELEASE);
  }

 private:
  int warp_, warps_;
  Barrier &all_, &others_;
};

// All blocks, or only one, which then does all the work.
void run_warps_as_threads(const DecodePlanes& body, int blocks, int warps) {
  std::vector<std::thread> threads;
  for (int b = 0; b < blocks; ++b) {
    threads.emplace_back([&body, warps] {
      std::vector<Sums<int32_t>> memory(
          (body.layout.bytes + body.model.weight_bytes) / sizeof(Sums<int32_t>) + 1);
      Barrier all(warps), others(warps - 1);
      std::vector<std::thread> team;
      uint8_t* near = reinterpret_cast<uint8_t*>(memory.data());
      Sums<int32_t>* partials = reinterpret_cast<Sums<int32_t>*>(near + body.layout.partials);
      for (int w = 0; w < warps; ++w) {
        team.emplace_back([&, w] { body(ThreadBlock(w, warps, all, others), near, partials); });
      }
      for (std::thread& t : team) t.join();
    });
  }
  for (std::thread& t : threads) t.join();
}

struct Case {
  Model model;
  Shape shape;
  std::vector<int32_t> bias0, bias3, symbols;

  Biases biases() const { return {bias0, bias3}; }
};

Case random_case(Head head, Shape shape, int width) {
  Case c{random_model(head, width, head == Head::kCategorical ? 6 : 2), shape, {}, {}, {}};
  c.bias0.resize(shape.planes * c.model.width);
  c.bias3.resize(shape.planes * c.model.outputs);
  c.symbols.resize(shape.size());
  for (int32_t& b : c.bias0) b = random_between(-5000, 20000);
  for (int32_t& b : c.bias3) b = random_between(-50000, 50000);
  for (int32_t& y : c.symbols) y = random_symbol(head);
  return c;
}

enum class How { kLoops, kThreads, kOneBlock };

std::vector<int32_t> decode_there(const Case& c, const std::vector<uint8_t>& data, How how) {
  // Exact copies on the heap, so that reading past them is seen.
  const std::vector<uint8_t> exact(data.begin(), data.end()), flat = flat_model(c.model);
  const DeviceModel model = model_at(c.model, flat.data());
  StreamLayout layout;
  const std::vector<SubstreamRecord> records = substream_records(c.shape, exact, layout);
  const size_t slots = layout.substreams() + 1, positions = c.shape.plane_size();
  std::vector<Carry> carries(layout.substreams());
  std::vector<uint32_t> progress(c.shape.planes), hidden(3 * slots * positions * (c.model.width / 4));
  std::vector<PlaneFault> faults(c.shape.planes);
  std::vector<uint8_t> codes(slots * positions);
  std::vector<int32_t> symbols(c.shape.size());
  std::vector<uint8_t> far(layout.substreams() * far_bytes(model, c.shape, {}));
  uint32_t next_plane = 0;
  const DecodeJob job{c.shape,       layout,          {c.bias0.data(), c.bias3.data()},
                      exact.data(),  records.data(),  carries.data(),
                      &next_plane,   progress.data(), faults.data(),
                      codes.data(),  hidden.data(),   far.data(),
                      symbols.data()};
  if (how == How::kLoops) {
    decode_planes(job, model, {});
  } else {
    const DecodePlanes body{job, model, NearLayout(c.shape, model), Placement::kWithWeights};
    run_warps_as_threads(body, how == How::kOneBlock ? 1 : layout.substreams(), 4);
  }
  check_faults(layout, faults);
  return symbols;
}

long tried = 0, survived = 0;

void attempt(const Case& c, const std::vector<uint8_t>& data) {
  ++tried;
  try {
    decode_there(c, data, How::kLoops);
    ++survived;
  } catch (const CorruptStream&) {
  }
}

void require(bool condition, const char* what) {
  if (condition) return;
  std::puts(what);
  std::exit(1);
}

}  // namespace

int main() {
  for (const Head head : {Head::kCategorical, Head::kParametric}) {
    for (const Shape s : {Shape{3, 5, 9}, Shape{2, 4, 1}, Shape{1, 1, 1}, Shape{3, 17, 4}}) {
      const Case c = random_case(head, s, 8);
      const std::vector<uint8_t> data = encode(c.model, c.biases(), s, c.symbols, {});
      const size_t stride = data.size() / 60 + 1;
      for (size_t i = 0; i < data.size(); i += stride) {
        attempt(c, std::vector<uint8_t>(data.begin(), data.begin() + i));
        std::vector<uint8_t> damaged = data;
        damaged[i] ^= static_cast<uint8_t>(random_between(1, 255));
        attempt(c, damaged);
      }
    }
    // Large enough for several substreams, which then are at work at the same time, for steps of more rows
    // than a warp has lanes, and for layers of more tiles than one.
    const Case c = random_case(head, {4, 68, 70}, 12);
    const std::vector<uint8_t> data = encode(c.model, c.biases(), c.shape, c.symbols, {});
    require((data[0] & 15) > 0, "one substream only");
    for (const How how : {How::kLoops, How::kThreads, How::kOneBlock}) {
      ++tried;
      require(decode_there(c, data, how) == c.symbols, "round trip failed");
    }
  }
  std::printf("%ld streams, %ld of them decoded to something\n", tried, survived);
}
