# Every library that is not ours, as imported targets with SYSTEM includes.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(GTest REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tl-expected REQUIRED)
find_package(tomlplusplus REQUIRED)
# Debian's is a shared library without assertions. Where it is headers only, a build without NDEBUG would assert, and
# end the program, at malformed tables ([[%x]]) that toml++ 3.3 refuses by itself a few lines further on.
target_compile_options(tomlplusplus::tomlplusplus INTERFACE "-DTOML_ASSERT(expr)=static_assert(true)")
find_package(benchmark REQUIRED)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq)
find_package(Protobuf REQUIRED)
# For `kiln mpi` alone: without it everything else is built.
pkg_check_modules(KILN_MPI IMPORTED_TARGET ompi-c)
# Beast and Asio: headers only. C++20 coroutines; nothing of Asio's old interfaces.
find_package(Boost 1.74 REQUIRED)
add_library(kiln_boost INTERFACE)
target_include_directories(kiln_boost SYSTEM INTERFACE ${Boost_INCLUDE_DIRS})
if(KILN_SANITIZE MATCHES thread)
  # ThreadSanitizer knows no fences and g++ says so as an error; Asio's are belt and braces beside its locks.
  target_compile_definitions(kiln_boost INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
endif()
# RapidCheck comes without a CMake package on Debian.
find_library(KILN_RAPIDCHECK rapidcheck REQUIRED)
add_library(kiln_rapidcheck INTERFACE)
target_link_libraries(kiln_rapidcheck INTERFACE ${KILN_RAPIDCHECK})

# Its pkg-config file would also link what trains models. Debian's library carries an old protobuf whose names it exports: a
# program that is linked to both has protobuf linked statically, with hidden names.
find_library(KILN_SENTENCEPIECE sentencepiece REQUIRED)
add_library(kiln_sentencepiece INTERFACE)
target_link_libraries(kiln_sentencepiece INTERFACE ${KILN_SENTENCEPIECE})

# Linked statically: one library less to carry.
find_library(KILN_UTF8PROC NAMES libutf8proc.a REQUIRED)
add_library(kiln_utf8proc INTERFACE)
target_link_libraries(kiln_utf8proc INTERFACE ${KILN_UTF8PROC})

# LibTorch comes from the torch wheel, through a target of our own: TorchConfig.cmake demands a CUDA toolkit.
set(KILN_PYTHON "" CACHE FILEPATH "Python interpreter whose torch package is linked (default: that of scripts/setup)")
if(NOT KILN_PYTHON)
  # Where scripts/setup has built, its environment serves the other presets too.
  file(REAL_PATH ${CMAKE_SOURCE_DIR}/build/release/venv setup_venv)
  if(NOT EXISTS ${setup_venv}/bin/python)
    message(FATAL_ERROR "There is no Python environment yet: run scripts/setup first, or pass "
      "-DKILN_PYTHON=PATH, an interpreter that has the packages of python/constraints.txt.")
  endif()
  set_property(CACHE KILN_PYTHON PROPERTY VALUE ${setup_venv}/bin/python)
endif()
execute_process(
  COMMAND ${KILN_PYTHON} -I -c
    "import importlib.util as u, os; print(os.path.dirname(u.find_spec('torch').origin))"
  OUTPUT_VARIABLE KILN_TORCH_DIR OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE torch_found)
if(NOT torch_found EQUAL 0)
  message(FATAL_ERROR "${KILN_PYTHON} has no torch package. Run scripts/setup.")
endif()
file(READ ${KILN_TORCH_DIR}/version.py torch_version_py)
if(NOT torch_version_py MATCHES "__version__ = '2\\.11\\.0")
  message(FATAL_ERROR "Kiln is pinned to torch 2.11.0; ${KILN_TORCH_DIR} holds another version. Run scripts/setup.")
endif()

add_library(kiln_torch INTERFACE)
# The wheel's include folder carries its own protobuf and fmt, which must not hide ours: only LibTorch's
# own folders are seen, through links.
set(torch_include ${CMAKE_BINARY_DIR}/torch_include)
file(MAKE_DIRECTORY ${torch_include})
foreach(folder ATen c10 caffe2 torch)
  file(CREATE_LINK ${KILN_TORCH_DIR}/include/${folder} ${torch_include}/${folder} SYMBOLIC)
endforeach()
target_include_directories(kiln_torch SYSTEM INTERFACE ${torch_include})
target_link_directories(kiln_torch INTERFACE ${KILN_TORCH_DIR}/lib)
# Not libtorch.so, which pulls in the CUDA part: a lane that runs on a card opens that itself.
target_link_libraries(kiln_torch INTERFACE torch_cpu c10)
target_link_options(kiln_torch INTERFACE -Wl,-rpath,${KILN_TORCH_DIR}/lib)
