#include "base/metrics_text.h"

#include <gtest/gtest.h>

namespace kiln {
namespace {

TEST(MetricsTextTest, HelpAndTypeOnceForEachNameAndLabelsEscaped) {
  MetricsText text;
  text.counter("kiln_a_total", "What\nit is", 3, {{"kind", "x\"y\\z\n"}, {"other", ""}});
  text.counter("kiln_a_total", "What\nit is", 18446744073709551615U, {{"kind", "b"}});
  text.gauge("kiln_b", "Now", 0);
  text.gauge_seconds("kiln_c_seconds", "Time", 0.25);
  EXPECT_EQ(text.text(),
            "# HELP kiln_a_total What\\nit is\n# TYPE kiln_a_total counter\n"
            "kiln_a_total{kind=\"x\\\"y\\\\z\\n\",other=\"\"} 3\n"
            "kiln_a_total{kind=\"b\"} 18446744073709551615\n"
            "# HELP kiln_b Now\n# TYPE kiln_b gauge\nkiln_b 0\n"
            "# HELP kiln_c_seconds Time\n# TYPE kiln_c_seconds gauge\nkiln_c_seconds 0.25\n");
}

}  // namespace
}  // namespace kiln
