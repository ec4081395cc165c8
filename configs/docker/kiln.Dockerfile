# One image for all services of docker-compose.yml: `kiln`, its lanes, LibTorch, ffmpeg and the compiler that artifacts are
# made with. Built from the root of the repository, by the same set-up and bundle as everywhere else:
#
#   docker build -f configs/docker/kiln.Dockerfile -t kiln .
#
# torch comes with its CUDA libraries: the image takes 10 GB, the build as much again and most of an hour.

FROM debian:12 AS build
ENV KILN_VENV=/opt/kiln/venv
COPY . /src
WORKDIR /src
RUN scripts/setup
RUN scripts/bundle --no-media && mkdir -p /opt/kiln && tar -xJf dist/kiln-*-no-media.tar.xz --strip-components=1 -C /opt/kiln

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates ffmpeg g++ libgomp1 python3 \
  && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/kiln /opt/kiln
COPY configs/docker/make-keys /usr/local/bin/make-keys
# A volume takes over the owner of the folder that it covers.
RUN useradd --uid 1000 --create-home kiln \
  && for folder in keys/public keys/store keys/coordinator keys/worker-1 keys/worker-2 keys/worker-gpu keys/client \
       farm store worker results; do install -d -m 0700 -o kiln -g kiln "/$folder"; done
USER kiln
ENV PATH=/opt/kiln/bin:/usr/local/bin:/usr/bin:/bin
ENTRYPOINT ["kiln"]
CMD ["--help"]
