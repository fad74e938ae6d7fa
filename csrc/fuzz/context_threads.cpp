// The device's context decoder with every warp of every block a thread, so that a barrier or a flag that is
// missing is a race for ThreadSanitizer. Its inputs only say which head and how: it is replayed, not fuzzed.
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "context/context.h"
#include "context/device.h"
#include "context/launch.h"
#include "fuzz/kernel_decode.h"
#include "fuzz/random_model.h"
#include "fuzz/target.h"

namespace {

using namespace pycodec;
using namespace pycodec::fuzz;
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  Input in(bytes, size);
  const Head head = in.flag() ? Head::kParametric : Head::kCategorical;
  const bool one_block = in.flag();
  Random random(in.u8());
  // Large enough for several substreams, which then are at work at the same time, for steps of more rows than
  // a warp has lanes, and for layers of more tiles than one.
  Model model = random_model(random, head, 12, head == Head::kCategorical ? 6 : 2);
  model.prepare();
  const Volume volume(random, model, {4, 68, 70});
  const std::vector<uint8_t> data = encode(model, volume.biases(), volume.shape, volume.symbols, {});
  require((data[0] & 15) > 0, "one substream only");
  std::vector<int32_t> symbols(volume.shape.size());
  const auto run = [&](const DecodeJob& job, const DeviceModel& there) {
    const DecodePlanes body{job, there, NearLayout(job.shape, there), Placement::kWithWeights};
    run_warps_as_threads(body, one_block ? 1 : job.layout.substreams(), 4);
  };
  decode_by_kernels(model, volume, data, run, symbols);
  require(symbols == volume.symbols, "the round trip failed");
  return 0;
}
