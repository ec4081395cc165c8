// The manifest of a small text-to-video model, for tests that need one and no files.
#pragma once

#include <string>
#include <vector>

namespace kiln::test {

// Sides are multiples of 16 up to 16,384; 1, 5, 9, … frames. Two experts, if it is asked for.
inline std::string sample_generator(const std::vector<std::string>& dtypes = {"float32"}, bool two_experts = false) {
  const std::string digest(64, 'c');
  std::string text = "format_version = 1\nkind = \"generator\"\nfamily = \"wan\"\nname = \"sample\"\narchitecture = \"Wan\"\n";
  if (two_experts) text += "boundary_ratio = 0.875\n";
  text +=
      "[scheduler]\nkind = \"unipc\"\nshift = 3.0\n[tokenizer]\nfile = \"tokenizer/spiece.model\"\nsha256 = \"" + digest + "\"\n"
      "[text]\nwidth = 8\nvocabulary = 96\n"
      "[transformer]\nwidth = 16\nheads = 2\nfeed_forward = 32\npatch = [1, 2, 2]\ngrid_max = 1024\n"
      "[latents]\nchannels = 1\nstride_time = 4\nstride_space = 8\nmean = [0.0]\nstd = [1.0]\n"
      "[[file]]\nfile = \"weights/a.safetensors\"\nbytes = 100\nsha256 = \"" + digest + "\"\n"
      "[[component]]\nname = \"block\"\npart = \"transformer\"\nrepeat = 1\ninputs = [\"hidden\"]\noutputs = [\"hidden\"]\n"
      "[[parameter]]\ncomponent = \"block\"\nname = \"w\"\nshape = [4, 3]\n"
      "[[parameter]]\ncomponent = \"block\"\nname = \"scale\"\nshape = [3]\nhigh_precision = true\n";
  for (const std::string& dtype : dtypes) {
    text += "[[graph]]\ncomponent = \"block\"\ndtype = \"" + dtype + "\"\nfile = \"graphs/block-" + dtype + ".pt2\"\nsha256 = \"" +
            digest + "\"\n";
  }
  for (const std::string weights : {"transformer", "transformer_2"}) {
    text += "[[weights]]\nname = \"" + weights + "\"\npart = \"transformer\"\n";
    for (const std::string parameter : {"w", "scale"}) {
      text += "[[tensor]]\nweights = \"" + weights + "\"\ncomponent = \"block\"\nindex = 0\nparameter = \"" + parameter +
              "\"\nfile = \"weights/a.safetensors\"\nname = \"" + weights + "." + parameter + "\"\ndtype = \"bfloat16\"\n";
    }
    if (!two_experts) break;
  }
  return text;
}

}  // namespace kiln::test
