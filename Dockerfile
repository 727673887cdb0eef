# syntax=docker/dockerfile:1
#
#	docker build --build-arg VERSION=v1.2.3 -t gpu-watchdog .
#	docker buildx build --platform linux/amd64,linux/arm64 …
#
# The build runs on the machine's own kind and crosses over with a C cross compiler: nothing is emulated.
# Debian 12 on purpose: linked against its glibc the program needs no symbol above GLIBC_2.34, so that it also runs when it is
# copied into the images that vLLM is served from. What is newer may ask for more. test/e2e/container.sh holds both.
FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26-bookworm AS build
ARG TARGETARCH
ARG VERSION=dev
WORKDIR /src

# NVML is reached through cgo, so the C compiler must speak the target's language, too.
RUN set -eu; \
    case $TARGETARCH in \
    amd64) machine=x86_64 package=x86-64 ;; \
    arm64) machine=aarch64 package=aarch64 ;; \
    *) echo "TARGETARCH=$TARGETARCH: NVIDIA's library exists for amd64 and arm64" >&2; exit 1 ;; \
    esac; \
    if [ "$TARGETARCH" = "$(go env GOHOSTARCH)" ]; then echo gcc >/cc; exit; fi; \
    echo "$machine-linux-gnu-gcc" >/cc; \
    command -v "$(cat /cc)" >/dev/null || { \
        apt-get update; \
        apt-get install -y --no-install-recommends "gcc-$package-linux-gnu" "libc6-dev-$TARGETARCH-cross"; \
        rm -rf /var/lib/apt/lists/*; \
    }

COPY go.mod go.sum ./
RUN go mod download

COPY . .
# go-nvml binds lazily what an old driver may lack: with -z now (full RELRO) the program would end before main.
RUN set -eu; \
    CGO_ENABLED=1 GOARCH=$TARGETARCH CC=$(cat /cc) CGO_CFLAGS="-Os -Wno-deprecated-declarations" GOFLAGS=-mod=readonly \
        go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /out/gpu-watchdog ./cmd/gpu-watchdog; \
    mkdir /out/lib

# glibc, CA roots, time zones, nothing to log in with.
FROM gcr.io/distroless/base-nossl-debian12:nonroot
LABEL org.opencontainers.image.title="gpu-watchdog" \
      org.opencontainers.image.description="Stops an idle GPU pod when idling on costs more than starting again later"
# What NVIDIA's container runtime reads: libnvidia-ml.so.1 is put in beside us, CUDA is not.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=utility
COPY --from=build /out/gpu-watchdog /gpu-watchdog
# The memory and the id of this start, where nothing is mounted.
COPY --from=build --chown=65532:65532 /out/lib /var/lib/gpu-watchdog
# NVML asks nothing of root: /dev/nvidia* can be read and written by everyone.
USER 65532:65532
ENTRYPOINT ["/gpu-watchdog"]
CMD ["run"]
