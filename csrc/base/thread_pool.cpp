// The threads behind parallel_for: one pool a process, made when it is first needed.
#include "base/thread_pool.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace pycodec {
namespace {

// Sleeping and waking takes longer than the gap between two layers of a network.
constexpr auto kPatience = std::chrono::microseconds(100);

// Whether ready() comes true before long; until then the processor is left to whoever wants it.
template <class Ready>
bool comes_soon(const Ready& ready) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  do {
    for (int i = 0; i < 10; ++i) {
      if (ready()) return true;
      std::this_thread::yield();
    }
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

class Pool {
 public:
  void call(Work& work, size_t count) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      work.wanted = count;
      works_.push_back(&work);
      wanted_.fetch_add(count, std::memory_order_relaxed);
      // Helpers may be at other work that began before: there have to be enough for all.
      while (threads_ < std::min(most_, busy_ + wanted_.load(std::memory_order_relaxed))) {
        try {
          std::thread([this] { help(); }).detach();
        } catch (const std::system_error&) {
          break;  // no more threads to be had: those that we have do the work
        }
        ++threads_;
      }
    }
    called_.notify_all();
  }

  void release(Work& work) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (work.wanted > 0) {
        wanted_.fetch_sub(work.wanted, std::memory_order_relaxed);
        works_.erase(std::find(works_.begin(), works_.end(), &work));
      }
    }
    const auto done = [&work] { return work.running.load(std::memory_order_acquire) == 0; };
    if (comes_soon(done)) return;
    std::unique_lock<std::mutex> lock(mutex_);
    finished_.wait(lock, done);
  }

 private:
  [[noreturn]] void help() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      while (works_.empty()) {
        lock.unlock();
        comes_soon([this] { return wanted_.load(std::memory_order_relaxed) > 0; });
        lock.lock();
        called_.wait(lock, [this] { return !works_.empty(); });
      }
      Work& work = *works_.front();
      if (--work.wanted == 0) works_.pop_front();
      wanted_.fetch_sub(1, std::memory_order_relaxed);
      work.running.fetch_add(1, std::memory_order_relaxed);
      ++busy_;
      lock.unlock();
      work.run(work.context);
      lock.lock();
      --busy_;
      // The last touch: the caller may return as soon as this is zero.
      if (work.running.fetch_sub(1, std::memory_order_release) == 1) finished_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable called_, finished_;
  std::deque<Work*> works_;  // that want helpers
  size_t threads_ = 0, busy_ = 0;
  // Threads that share a processor gain nothing, but they would stay. A few more do no harm.
  const size_t most_ = std::max<size_t>(8, std::thread::hardware_concurrency());
  std::atomic<size_t> wanted_{0};  // by all works; changed under the mutex
};

std::atomic<Pool*> the_pool{nullptr};

// Never destroyed, since its threads sleep in it until the process ends.
Pool& pool() {
  static const bool made = [] {
    the_pool.store(new Pool);
#if defined(__unix__) || defined(__APPLE__)
    // Threads do not survive a fork; the child starts with none, and leaves the old pool as it is.
    pthread_atfork(nullptr, nullptr, [] { the_pool.store(new Pool); });
#endif
    return true;
  }();
  (void)made;
  return *the_pool.load();
}

}  // namespace

void call_helpers(Work& work, size_t count) { pool().call(work, count); }
void release_helpers(Work& work) { pool().release(work); }

}  // namespace pycodec
