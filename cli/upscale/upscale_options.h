// What `kiln run upscale` or `kiln run generate` was asked for: its own flags beside the configuration.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cli/config.h"
#include "net/shot.h"

namespace kiln::cli {

struct UpscaleOptions {
  std::vector<std::string> inputs;
  net::Shot shot;  // of `generate`: in place of inputs
  std::string output;  // a file, an image pattern, or with several inputs a folder
  std::string package;
  std::string scale;         // empty: the network's
  std::string pixel_format;  // empty: the source's
  std::string preset;
  std::string encoder;     // software, hardware, auto; empty: software
  std::string frame_rate;  // of image sequences
  bool deinterlace = false;
  [[nodiscard]] bool generates() const { return shot.frames > 0; }
  bool overwrite = false;
  bool json = false;
  bool verbose = false;
  std::string config_file;  // --config
  Config config;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();  // of the command
};

}  // namespace kiln::cli
