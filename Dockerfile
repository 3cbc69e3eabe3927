# A container that runs one team on the repository in /repo and exits with its result:
#
#     docker build -t orch .
#     docker run --rm -v "$PWD:/repo" -e CLAUDE_CONFIGS -e GITHUB_TOKEN orch 25
#
# The agent itself is not in it: install one in an image FROM this, or mount one and name it with --agent. Any image of
# Debian 12 will do as BASE; script/container builds without a registry. docs/supervision.md says more.
ARG BASE=docker.io/library/debian:12-slim

FROM $BASE AS build
ARG DEMO=OFF
COPY script/bootstrap /src/script/bootstrap
RUN /src/script/bootstrap
COPY . /src
RUN cmake -G Ninja -S /src -B /build -DCMAKE_BUILD_TYPE=Release -DORCH_TESTS=OFF -DORCH_DEMO=$DEMO \
		-DCMAKE_INSTALL_PREFIX=/usr \
	&& ninja -C /build \
	&& DESTDIR=/out cmake --install /build --strip

FROM $BASE
RUN apt-get update \
	&& apt-get install -y --no-install-recommends git ca-certificates libevent-core-2.1-7 libevent-extra-2.1-7 \
		libcurl4 libmsgpackc2 libbsd0 libjansson4 libsqlite3-0 \
	&& rm -rf /var/lib/apt/lists/*
COPY --from=build /out /
RUN useradd --create-home --uid 1000 orch \
	&& git config --system --add safe.directory /repo
USER orch
WORKDIR /repo
HEALTHCHECK --interval=30s --timeout=10s CMD ["orchctl", "status"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["orchd", "run"]
