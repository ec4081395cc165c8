// What libkiln_mpi.so offers to `kiln`: the little of MPI that an introduction takes. C names and plain types, since it
// is opened at run time; kMpiInterface changes with them.
#pragma once

#include <cstddef>

inline constexpr int kMpiInterface = 1;

extern "C" {

struct KilnMpiPlace {
  int interface_version;
  int rank;
  int ranks;
  int node;       // the lowest rank on this host: a name for the host that all ranks agree on
  int node_rank;  // among the ranks of this host
};

// 0, or what went wrong is in `why`. Once a process.
using KilnMpiBegin = int(KilnMpiPlace* place, char* why, std::size_t why_bytes);
// `bytes` of every rank, by rank, in `all`.
using KilnMpiGather = int(const char* mine, char* all, std::size_t bytes);
// What rank 0 has in `bytes`, everybody has afterwards.
using KilnMpiBroadcast = int(char* bytes, std::size_t count);
// No rank waits in MPI after this.
using KilnMpiEnd = int();

KilnMpiBegin kiln_mpi_begin;
KilnMpiGather kiln_mpi_gather;
KilnMpiBroadcast kiln_mpi_broadcast;
KilnMpiEnd kiln_mpi_end;

}  // extern "C"
