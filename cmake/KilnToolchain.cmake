# How our own code is compiled. Dependencies come in as SYSTEM and are left alone.
set(KILN_SANITIZE "" CACHE STRING "Comma-separated list for -fsanitize= (empty: none)")
option(KILN_CLANG_TIDY "Run clang-tidy on every file of ours" OFF)

find_program(KILN_CCACHE ccache)
if(KILN_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # base_dir makes two clones of the tree share entries; the sloppiness is what precompiled headers need.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${KILN_CCACHE})
endif()
find_program(KILN_MOLD mold)
if(KILN_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_library(kiln_warnings INTERFACE)
target_compile_options(kiln_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wimplicit-fallthrough -Werror)

if(KILN_SANITIZE)
  # Undefined behaviour ends the program as a bad access does: a line that is only printed fails no test.
  add_compile_options(-fsanitize=${KILN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${KILN_SANITIZE})
endif()
# Two clones of the tree produce the same objects, and no path of one machine ends up in a binary.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)

if(KILN_CLANG_TIDY)
  find_program(KILN_CLANG_TIDY_PROGRAM clang-tidy)
  if(NOT KILN_CLANG_TIDY_PROGRAM)
    message(FATAL_ERROR "KILN_CLANG_TIDY (preset 'ci') needs clang-tidy, which scripts/setup does not install: "
      "apt-get install clang-tidy")
  endif()
  # Debian 12's clang 14 has C++20's coroutines but does not say so, and the standard library and Boost ask.
  set(CMAKE_CXX_CLANG_TIDY ${KILN_CLANG_TIDY_PROGRAM} --extra-arg=-D__cpp_impl_coroutine=201902L
    --extra-arg=-DBOOST_ASIO_HAS_CO_AWAIT --extra-arg=-DBOOST_ASIO_HAS_STD_COROUTINE)
endif()
