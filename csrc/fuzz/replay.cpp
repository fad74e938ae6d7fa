// main() of a target without libFuzzer: calls it with every file of the folders named, and with so many
// seeded mutations of each, so that any compiler and any sanitizer can run it.
//
//     rans_stream [--mutations=N] PATH...
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz/random.h"
#include "fuzz/target.h"

namespace {

using Content = std::vector<uint8_t>;
using pycodec::fuzz::Random;

std::vector<std::filesystem::path> files_in(const std::vector<std::string>& paths) {
  std::vector<std::filesystem::path> files;
  for (const std::string& path : paths) {
    if (std::filesystem::is_directory(path)) {
      for (const auto& entry : std::filesystem::directory_iterator(path)) files.push_back(entry.path());
    } else {
      files.emplace_back(path);
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

Content content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    std::exit(2);
  }
  return Content(std::istreambuf_iterator<char>(file), {});
}

// Some bytes changed, removed, or put in from another input.
Content mutated(Content input, const Content& other, Random& random) {
  const auto position = [&](const Content& c) { return random.between(0, static_cast<int>(c.size())); };
  for (int changes = random.between(1, 4); changes > 0; --changes) {
    const int at = position(input), kind = random.between(0, 9);
    if (kind == 0) {
      input.erase(input.begin() + at, input.begin() + std::max(at, position(input)));
    } else if (kind == 1) {
      const int from = position(other);
      input.insert(input.begin() + at, other.begin() + from, other.begin() + std::max(from, position(other)));
    } else if (static_cast<size_t>(at) < input.size()) {
      input[at] =
          static_cast<uint8_t>(kind < 6 ? input[at] ^ 1 << random.between(0, 7) : random.between(0, 255));
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  int mutations = 0;
  std::vector<std::string> paths;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  for (const std::string& argument : arguments) {
    const std::string option = "--mutations=";
    if (argument.rfind(option, 0) == 0) {
      mutations = std::atoi(argument.c_str() + option.size());
    } else {
      paths.push_back(argument);
    }
  }
  std::vector<Content> inputs;
  for (const std::filesystem::path& file : files_in(paths)) inputs.push_back(content_of(file));
  if (inputs.empty()) {
    std::fputs("no inputs; expected files, or folders of them\n", stderr);
    return 2;
  }
  Random random(1);
  for (const Content& input : inputs) {
    LLVMFuzzerTestOneInput(input.data(), input.size());
    for (int i = 0; i < mutations; ++i) {
      const Content& other = inputs[random.between(0, static_cast<int>(inputs.size()) - 1)];
      const Content changed = mutated(input, other, random);
      LLVMFuzzerTestOneInput(changed.data(), changed.size());
    }
  }
  std::printf("%zu inputs, %d mutations of each\n", inputs.size(), mutations);
}
