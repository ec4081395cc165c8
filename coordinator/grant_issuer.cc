#include "coordinator/grant_issuer.h"

#include "base/check.h"

namespace kiln::coordinator {
namespace {

// A worker reads packages, sources and segments of any job it is given, and artifacts: everything at the root.
constexpr const char* kEverything = "/";
constexpr const char* kBlobs = "/cas/";

}  // namespace

std::string GrantIssuer::sign(const char* method, const std::string& path, const std::string& owner,
                              std::int64_t now_unix_s) const {
  // An open store pins by this name alone: the parameter that a signed grant has, too.
  if (!key_) return owner.empty() ? std::string() : "o=" + owner;
  auto query = key_->sign({method, path, owner, kGrantBytesMax, now_unix_s + kGrantSeconds});
  KILN_CHECK(query.has_value(), "a grant for {} of {} cannot be written", path, owner);
  return std::move(*query);
}

void GrantIssuer::fill(net::Welcome& welcome, std::int64_t now_unix_s) const {
  welcome.store_url = store_url_;
  welcome.read_query = sign("GET", kEverything, {}, now_unix_s);
  welcome.write_query = sign("PUT", kEverything, {}, now_unix_s);
  welcome.expires_unix_s = now_unix_s + kGrantSeconds;
}

void GrantIssuer::fill(net::Assign& assign, std::int64_t now_unix_s) const {
  assign.write_query = sign("PUT", kBlobs, assign.job, now_unix_s);
}

net::Grants GrantIssuer::for_client(const net::JobName& job, bool write, std::int64_t now_unix_s) const {
  net::Grants out;
  out.store_url = store_url_;
  out.read_query = sign("GET", kBlobs, {}, now_unix_s);
  if (write) out.write_query = sign("PUT", kBlobs, job, now_unix_s);
  out.expires_unix_s = now_unix_s + kGrantSeconds;
  return out;
}

std::string GrantIssuer::for_pins(const net::JobName& job, const char* method, std::int64_t now_unix_s) const {
  return sign(method, "/pins/" + job, {}, now_unix_s);
}

}  // namespace kiln::coordinator
