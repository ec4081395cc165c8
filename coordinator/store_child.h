// The cache store that a coordinator starts for itself. It dies with the coordinator.
#pragma once

#include <string>
#include <vector>

#include "base/process.h"

namespace kiln::coordinator {

struct StoreChildOptions {
  std::vector<std::string> command;  // program and first words
  std::string root;
  std::string listen = "127.0.0.1:0";
  std::string budget;        // empty: the store's own default
  std::string url_key_file;
  std::string trusted_keys_file;  // whose artifacts it takes
  std::string port_file;     // where the store writes its address
};

// Owned by the thread that started it.
class StoreChild {
 public:
  // Returns when the store says where it listens.
  [[nodiscard]] static Result<StoreChild> start(const StoreChildOptions& options);
  [[nodiscard]] const std::string& url() const { return url_; }
  // A store that died is started again, at the same address.
  [[nodiscard]] Status keep_alive();
  // Tells it when the file of trusted keys is another one than last time.
  void follow_trusted_keys();
  [[nodiscard]] pid_t pid() const { return process_.pid(); }
  void stop();

 private:
  explicit StoreChild(StoreChildOptions options) : options_(std::move(options)) {}
  [[nodiscard]] Status spawn();
  StoreChildOptions options_;
  ChildProcess process_;
  std::string url_;
  std::string trusted_keys_;  // as the store last read them
};

}  // namespace kiln::coordinator
