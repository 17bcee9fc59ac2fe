# The release image: one static binary, in one layer, and nothing else. It is
# there to be copied from:
#
#   COPY --from=ghcr.io/agent-secret-store/ass-exec:v1 /ass-exec /ass-exec
#
# and to be run as an init container: /ass-exec --install /shared/ass-exec.
ARG VERSION=devel
# With the digest of the day: see examples/README.md#pinning. No image of a
# release is built in it.
ARG GO_IMAGE=golang:1.26-alpine

FROM scratch AS image
ARG VERSION
LABEL org.opencontainers.image.title="ass-exec" \
      org.opencontainers.image.description="Start a container's command with secrets from Agent Secret Store in its environment" \
      org.opencontainers.image.source="https://github.com/agent-secret-store/ass-exec" \
      org.opencontainers.image.licenses="MIT AND MPL-2.0 AND BSD-3-Clause" \
      org.opencontainers.image.version="$VERSION"
ENTRYPOINT ["/ass-exec"]

# The same image around a binary of "make build", where no Go image can be had.
FROM image AS prebuilt
COPY bin/ass-exec /ass-exec

# The same image around the binaries of a release, which it does not compile anew.
FROM image AS release
ARG TARGETARCH
COPY dist/ass-exec-linux-$TARGETARCH /ass-exec

# The dev vault, below, around those of a release.
FROM scratch AS devvault-release
ARG TARGETARCH
COPY dist/ass-exec-linux-$TARGETARCH /ass-exec
COPY dist/ass-devvault-linux-$TARGETARCH /ass-devvault
ENTRYPOINT ["/ass-devvault"]

FROM --platform=$BUILDPLATFORM $GO_IMAGE AS build
WORKDIR /src
COPY . .
ARG VERSION TARGETOS TARGETARCH
# GOBUILD of the Makefile.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -tags keepsignals \
    -ldflags "-s -w -X main.version=$VERSION -checklinkname=0" -o /out/ ./cmd/ass-exec ./cmd/ass-devvault

# The vault of the examples, for development. It carries ass-exec for its own
# health check: it is healthy once a secret can be had from it.
FROM scratch AS devvault
COPY --from=build /out/ /
ENTRYPOINT ["/ass-devvault"]

FROM image
COPY --from=build /out/ass-exec /ass-exec
