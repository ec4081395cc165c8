// libkiln_mpi.so: the only file that is linked to MPI.
#include <mpi.h>

#include <cstdio>

#include "cli/mpi/mpi_interface.h"

#define KILN_MPI_EXPORT __attribute__((visibility("default")))

namespace {

int explain(int code, char* why, std::size_t why_bytes) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  std::snprintf(why, why_bytes, "%.*s", length, text);
  return code;
}

int find_node(KilnMpiPlace& place) {
  MPI_Comm host = MPI_COMM_NULL;
  int code = MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, place.rank, MPI_INFO_NULL, &host);
  if (code != MPI_SUCCESS) return code;
  MPI_Comm_rank(host, &place.node_rank);
  place.node = place.rank;
  code = MPI_Bcast(&place.node, 1, MPI_INT, 0, host);
  MPI_Comm_free(&host);
  return code;
}

}  // namespace

extern "C" {

KILN_MPI_EXPORT int kiln_mpi_begin(KilnMpiPlace* place, char* why, std::size_t why_bytes) {
  int code = MPI_Init(nullptr, nullptr);
  if (code != MPI_SUCCESS) return explain(code, why, why_bytes);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  place->interface_version = kMpiInterface;
  MPI_Comm_rank(MPI_COMM_WORLD, &place->rank);
  MPI_Comm_size(MPI_COMM_WORLD, &place->ranks);
  code = find_node(*place);
  return code == MPI_SUCCESS ? 0 : explain(code, why, why_bytes);
}

KILN_MPI_EXPORT int kiln_mpi_gather(const char* mine, char* all, std::size_t bytes) {
  const int count = static_cast<int>(bytes);
  return MPI_Allgather(mine, count, MPI_BYTE, all, count, MPI_BYTE, MPI_COMM_WORLD);
}

KILN_MPI_EXPORT int kiln_mpi_broadcast(char* bytes, std::size_t count) {
  return MPI_Bcast(bytes, static_cast<int>(count), MPI_BYTE, 0, MPI_COMM_WORLD);
}

KILN_MPI_EXPORT int kiln_mpi_end() { return MPI_Finalize(); }

}  // extern "C"
