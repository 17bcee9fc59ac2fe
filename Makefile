# Goals, meant for humans:
#   make build            bin/ass-exec and bin/ass-devvault, for this machine
#   make demo             the main job against the embedded dev vault; needs only Go
#   make test             every test that can run here; says what it skips
#   make test-container   the images and examples, with Docker (.ci/install-docker)
#   make test-kubernetes  the examples on a Kubernetes, built once from source (8 to 20 minutes); root, Docker
#   make test-emulated    the scripts as ARCH (arm64; arm, riscv64) under QEMU; root, a minute or two
#   make test-386         the scripts and packages as 386, which amd64 runs itself; a minute
#   make test-ci          the CI systems' examples (.ci/install-ci-tools)
#   make test-world       beside other inits, behind other servers and proxies (.ci/install-world-tools); root, 6 minutes
#   make soak             10,000 starts with random faults, and ten minutes of rotations; SOAK_STARTS=500 for fewer; root
#   make bench            ass-exec beside the CLI, the SDK and doppler; root, 10 minutes
#   make bench-quick      its round trips, requests, connections, allocations, size; root
#   make fleet            1,000 starts at once against a rate limit, drawn in examples/internal/bench/fleet.svg
#   make fuzz             each fuzz target FUZZTIME (1000000x; in CI 200000x, some 10 s)
#   make mutate           which mistakes no test would notice; hours, or MUTATE="process mask" or "by-hand"
#   make lint             go vet, for darwin too, and golangci-lint, with staticcheck and gofumpt in it
#   make vulncheck        known vulnerabilities in what the binaries call; needs the network
#   make release          what release.yml runs on a tag
#   make release-snapshot dist/ as a release would have it, with SBOM and checksums
#   make image            the container image; TARGET=prebuilt makes it from bin/ass-exec
#   make clean            what the others made

VERSION ?= $(shell git describe --tags --match 'v*.*' --always --dirty 2>/dev/null || echo devel)
LDFLAGS = -s -w -X main.version=$(VERSION) -checklinkname=0
# keepsignals passes on what the parent ignored or blocked; see shim/process/sigstate_linux.go.
GOBUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags keepsignals -ldflags "$(LDFLAGS)"
IMAGE ?= ghcr.io/agent-secret-store/ass-exec

# CI takes no result from a cache.
FRESH = $(if $(CI),-count=1)

.PHONY: build demo test test-unit test-container test-kubernetes test-emulated test-386 test-ci test-world soak bench bench-quick fleet fuzz mutate lint vulncheck release release-snapshot image clean

build:
	$(GOBUILD) -o bin/ ./cmd/ass-exec ./cmd/ass-devvault

demo: build
	@examples/local/demo.sh

# Only where cgo works. What is skipped stands in SKIPPED, a reason a line.
RACE = $(if $(CI)$(if $(shell CGO_ENABLED=1 go build -race runtime/cgo 2>&1),,yes),-race)
SKIPPED = $(CURDIR)/bin/skipped
GOTEST = go run ./examples/internal/gotest $(SKIPPED) $(FRESH)
define UNIT
@mkdir -p bin && : >$(SKIPPED)
go vet ./...
$(GOTEST) $(RACE) ./...
$(if $(RACE),,@echo "go test -race (needs a C compiler)" >>$(SKIPPED))
$(GOTEST) ./shim/mask ./shim/supervise # what they keep and how much, which -race changes
$(GOTEST) -tags keepsignals -ldflags -checklinkname=0 ./shim/process # as it is released
endef
TELL = @awk '!n[$$0]++ { reason[++k] = $$0 } END { if (!NR) exit; \
	for (i = 1; i <= k; i++) text = text (i > 1 ? "; " : "") reason[i] (n[reason[i]] > 1 ? " (" n[reason[i]] " times)" : ""); \
	print NR " skipped: " text }' $(SKIPPED)

test:
	$(UNIT)
	@if docker info >/dev/null 2>&1; then $(MAKE) test-container; \
	elif [ -n "$$CI" ]; then echo "no dockerd answers, which CI requires"; exit 1; \
	else echo "make test-container (needs a dockerd)" >>$(SKIPPED); fi
	@if [ -x .tools/act ]; then $(MAKE) test-ci; \
	elif [ -n "$$CI" ]; then echo "the tools of .ci/install-ci-tools are missing, which CI requires"; exit 1; \
	else echo "make test-ci (needs .ci/install-ci-tools)" >>$(SKIPPED); fi
	$(TELL)

test-unit:
	$(UNIT)
	$(TELL)

test-container: build image
	go vet -tags container ./examples/internal/containers
	go test -tags container -count=1 ./examples/internal/containers
	cd examples/internal/manifests && go vet ./... && go test ./...

test-kubernetes: build
	go vet -tags kubernetes ./examples/internal/cluster
	examples/internal/cluster/run go test -tags kubernetes -count=1 -parallel 4 -v ./examples/internal/cluster

test-emulated:
	.ci/emulated $(or $(ARCH),arm64)

# amd64 runs it as it is. Without -race, which 386 has not, and without the test
# that makes programs of 64 bits.
test-386: export GOARCH = 386
test-386: export CGO_ENABLED = 0
test-386:
	go test -count=1 -run '^TestScripts$$' ./cmd/ass-exec
	go test -count=1 -skip '^TestExecNamesWhatIsMissing$$' ./shim/... ./vault/...
	go test -count=1 -skip '^TestExecNamesWhatIsMissing$$' -tags keepsignals -ldflags -checklinkname=0 ./shim/process # as it is released

test-ci: build
	@mkdir -p bin$(if $(filter 0,$(MAKELEVEL)), && : >$(SKIPPED)) # make test tells of it itself
	go vet -tags ci ./examples/internal/ci
	$(GOTEST) -tags ci -count=1 ./examples/internal/ci
	$(if $(filter 0,$(MAKELEVEL)),$(TELL))

test-world: build
	go vet -tags world ./examples/internal/world
	go test -tags world -count=1 -timeout 10m -v ./examples/internal/world
	cd examples/internal/world/dotenv && go vet -tags world . && go test -tags world -count=1 -v .

soak:
	go test -tags soak -count=1 -run 'TestEveryStartIsWhole|TestSoak' -timeout 60m -v ./cmd/ass-exec

bench: build
	.ci/install-bench-tools
	go build -o bin/bench ./examples/internal/bench && bin/bench

bench-quick: build
	go build -o bin/bench ./examples/internal/bench && bin/bench -quick

fleet:
	FLEET_SVG=$(CURDIR)/examples/internal/bench/fleet.svg go test -tags fleet -count=1 -run TestFleetGetsThroughARateLimit -v ./vault

# Executions, not seconds: where Go 1.26 ends by the clock, a busy machine fails
# a run that found nothing (golang.org/issue/75804).
FUZZTIME ?= $(if $(CI),200000x,1000000x)
# Each input that reaches new code would be made smaller for up to a minute.
fuzz:
	set -e; for target in \
		./shim/mapping:FuzzParseReference ./shim/mapping:FuzzParseTemplate ./shim/mapping:FuzzParseMapping ./shim/mapping:FuzzSelectField ./shim/mapping:FuzzReadText ./shim/mapping:FuzzEncode \
		./shim/mask:FuzzWriter ./vault:FuzzReply; do \
		go test $${target%:*} -run '^$$' -fuzz "^$${target#*:}$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x; \
	done

mutate:
	nice -n 19 go run ./.ci/mutants $(MUTATE)

lint:
	go vet ./...
	GOOS=darwin go vet ./...
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run ./...
	go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

vulncheck:
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 -tags keepsignals ./...

RELEASE = VERSION=$(VERSION) PATH="$(CURDIR)/.tools:$$PATH" goreleaser
.tools/goreleaser:
	.ci/install-release-tools

# The release's binary is that of make build.
release-snapshot: .tools/goreleaser build
	$(RELEASE) check
	$(RELEASE) release --snapshot --clean --skip=publish
	cmp bin/ass-exec dist/ass-exec_$(shell go env GOOS)_$(shell go env GOARCH)*/ass-exec
	cmp bin/ass-devvault dist/ass-devvault_$(shell go env GOOS)_$(shell go env GOARCH)*/ass-devvault
	go run ./examples/internal/packaging dist $(VERSION)
	@cat dist/SHA256SUMS

# The notes are the version's section of the changelog.
release: .tools/goreleaser
	awk '/^## /{on = index($$0, "[$(VERSION:v%=%)]")} on && !/^## /' CHANGELOG.md >.tools/notes.md
	@grep -q . .tools/notes.md || { echo "CHANGELOG.md has no section [$(VERSION:v%=%)]"; exit 1; }
	$(RELEASE) release --clean --release-notes .tools/notes.md
	go run ./examples/internal/packaging dist $(VERSION)

image:
	docker build $(if $(TARGET),--target $(TARGET)) --build-arg VERSION=$(VERSION) -t $(IMAGE) -t $(IMAGE):v1 .

clean:
	rm -rf bin dist
