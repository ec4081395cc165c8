#include "lane/media/tool_answers.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "base/text.h"
#include "tests/lane/media/media_lab.h"

namespace kiln::lane {
namespace {

// A program that notes each start, says its second argument, and fails when that is "-wrong".
class ToolAnswersTest : public MediaLab {
 protected:
  void SetUp() override {
    std::ofstream(program_) << "#!/bin/sh\necho \"$@\" >> '" << path("starts") << "'\necho \"said $2\"\n[ \"$2\" != -wrong ]\n";
    ASSERT_EQ(::chmod(program_.c_str(), 0700), 0);
    std::filesystem::create_directory(folder_);
  }

  [[nodiscard]] std::size_t starts() const {
    const auto text = read_file(path("starts"), 1U << 20U);
    return text ? split(trim(*text), '\n').size() : 0;
  }

  const std::string program_ = path("ffmpeg");
  const std::string folder_ = path("answers");
};

TEST_F(ToolAnswersTest, EachQuestionStartsTheProgramOnce) {
  ToolAnswers answers(program_, "build 1", folder_);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(answers.ask({"-encoders"}).value(), "said -encoders\n");
    EXPECT_EQ(answers.ask({"-decoders"}).value(), "said -decoders\n");
  }
  EXPECT_EQ(starts(), 2U);
}

TEST_F(ToolAnswersTest, OthersAfterItStartNothing) {
  ASSERT_TRUE(ToolAnswers(program_, "build 1", folder_).ask({"-h", "encoder=one"}));
  EXPECT_EQ(ToolAnswers(program_, "build 1", folder_).ask({"-h", "encoder=one"}).value(), "said -h\n");
  EXPECT_EQ(starts(), 1U);
  ASSERT_TRUE(ToolAnswers(program_, "build 1", folder_).ask({"-h", "encoder=two"}));
  EXPECT_EQ(starts(), 2U);
}

TEST_F(ToolAnswersTest, AnotherBuildOrAnotherFileIsAskedAnew) {
  ASSERT_TRUE(ToolAnswers(program_, "build 1", folder_).ask({"-encoders"}));
  ASSERT_TRUE(ToolAnswers(program_, "build 2", folder_).ask({"-encoders"}));
  std::filesystem::copy_file(program_, path("other"));
  ASSERT_TRUE(ToolAnswers(path("other"), "build 1", folder_).ask({"-encoders"}));
  EXPECT_EQ(starts(), 3U);
}

TEST_F(ToolAnswersTest, FailuresAreNotKept) {
  ToolAnswers answers(program_, "build 1", folder_);
  for (int i = 0; i < 2; ++i) {
    const auto answer = answers.ask({"-wrong"});
    ASSERT_FALSE(answer);
    EXPECT_EQ(exit_code(answer.error()), 78);
  }
  EXPECT_EQ(starts(), 2U);
}

TEST_F(ToolAnswersTest, FolderThatIsNotThereCostsOnlyTime) {
  ToolAnswers answers(program_, "build 1", path("nowhere"));
  ASSERT_TRUE(answers.ask({"-encoders"}));
  ASSERT_TRUE(answers.ask({"-encoders"}));
  EXPECT_EQ(starts(), 1U);
}

}  // namespace
}  // namespace kiln::lane
