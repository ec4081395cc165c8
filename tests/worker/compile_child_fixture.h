// A compile child in a folder of its own, that speaks with the fake in fake_compile_child.py.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <string>

#include "worker/compile_child.h"

namespace kiln::worker {

inline std::string environment(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? std::string() : value;
}

class CompileChildFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "kiln-compile-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    child_.reset();
    std::filesystem::remove_all(folder_);
  }

  [[nodiscard]] CompileChildOptions fake_options() const {
    CompileChildOptions options;
    options.python = environment("KILN_PYTHON");
    options.package_folder = environment("KILN_SOURCE_DIR") + "/tests/worker";
    options.work_folder = folder_ + "/child";
    options.torch_git = "test-git";
    options.hello_deadline = std::chrono::seconds(30);
    options.compile_deadline = std::chrono::seconds(30);
    options.command = {options.python, "-I", "-S", "-B", options.package_folder + "/fake_compile_child.py"};
    return options;
  }
  void start(CompileChildOptions options) { child_ = std::make_unique<CompileChild>(std::move(options)); }

  std::future<Result<CompiledLibrary>> submit(std::string graph) {
    auto promise = std::make_shared<std::promise<Result<CompiledLibrary>>>();
    auto future = promise->get_future();
    CompileRequest request;
    request.graph_json = std::move(graph);
    auto ticket = child_->submit(std::move(request), [promise](Result<CompiledLibrary> result) {
      promise->set_value(std::move(result));
    });
    if (ticket) {
      last_ticket_ = *ticket;
    } else {
      promise->set_value(fail(ticket.error()));
    }
    return future;
  }
  Result<CompiledLibrary> compile(std::string graph) {
    auto future = submit(std::move(graph));
    if (future.wait_for(std::chrono::seconds(60)) != std::future_status::ready) {
      return fail(make_error(ErrorCode::kDeadlineExceeded, "no answer at all"));
    }
    return future.get();
  }

  std::string folder_;
  std::unique_ptr<CompileChild> child_;
  CompileTicket last_ticket_ = 0;
};

}  // namespace kiln::worker
