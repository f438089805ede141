# kvs-edge-agent: `make demo` shows it, `make check` proves it.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)'
MAIN    := ./cmd/kvs-edge-agent

.DEFAULT_GOAL := build
.PHONY: help player screenshots test-player web-tools test-web build build-fips test-fips dist deb test-deb image test-image test-arm docs changelog demo simulate test test-roots lint vuln test-vuln check tools fuzz bench bench-micro bench-allocations bench-counts bench-counts-keep bench-cameras bench-startup bench-idle bench-flushes bench-upload budgets soak clean deb-one rpm licenses test-rpm

help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 20
	@sed -n 's/^\([a-z][a-z-]*\);.*; /long-\1\t/p' .ci/proofs | expand -t 20

build: ## one static binary at bin/kvs-edge-agent
	$(BUILD) -o bin/kvs-edge-agent $(MAIN)

# `make dist GOFIPS140=v1.0.0` builds a whole release so.
FIPS140 ?= v1.0.0
build-fips: ## the same with Go's cryptographic module of FIPS 140-3, FIPS140=v1.0.0, at bin/kvs-edge-agent-fips
	GOFIPS140=$(FIPS140) $(BUILD) -o bin/kvs-edge-agent-fips $(MAIN)

test-fips: build-fips ## the main job with that build, which says that it is one
	bin/kvs-edge-agent-fips version --json | grep '"fips140":true'
	bin/kvs-edge-agent-fips demo --duration 10s

# A release is the same bytes wherever it is built from the same commit with the same Go.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
DEBVERSION = $(shell echo '$(VERSION)' | sed -E 's/^v//; s/-/+/g; /^[0-9]+\./!s/^/0.0.0+g/')
RELEASE    = $(BUILD) -buildvcs=false

PACKAGE    = deploy/package/build

dist: docs licenses ## everything of a release: binaries for the hubs (amd64, arm64, arm v7), .deb and .rpm packages, SBOMs, licences, checksums
	rm -rf dist
	GOOS=linux GOARCH=amd64 GOAMD64=v1 $(RELEASE) -o dist/kvs-edge-agent-linux-amd64 $(MAIN)
	GOOS=linux GOARCH=arm64 GOARM64=v8.0 $(RELEASE) -o dist/kvs-edge-agent-linux-arm64 $(MAIN)
	GOOS=linux GOARCH=arm GOARM=7 $(RELEASE) -o dist/kvs-edge-agent-linux-armv7 $(MAIN)
	for arch in amd64 arm64 armv7; do \
	  $(GO) run ./deploy/sbom dist/kvs-edge-agent-linux-$$arch '$(VERSION)' >dist/kvs-edge-agent-linux-$$arch.cdx.json || exit 1; done
	for arch in amd64 arm64 armv7; do \
	  $(PACKAGE) deb $$arch dist/kvs-edge-agent-linux-$$arch '$(DEBVERSION)' dist || exit 1; done
	for arch in amd64 arm64; do \
	  $(PACKAGE) rpm $$arch dist/kvs-edge-agent-linux-$$arch '$(DEBVERSION)' dist || exit 1; done
	cp deploy/generated/THIRD-PARTY-LICENSES dist
	cd dist && sha256sum * >SHA256SUMS

deb: dist ## .deb packages in dist/ for amd64, arm64 and armhf

rpm: dist ## .rpm packages in dist/ for x86_64 and aarch64

DEB_ARCH ?= $(shell dpkg --print-architecture 2>/dev/null || $(GO) env GOARCH)
deb-one: docs licenses ## a .deb package in bin/ for DEB_ARCH alone: amd64, arm64 or armhf
	GOOS=linux GOARCH=$(DEB_ARCH:armhf=arm) GOARM=7 $(RELEASE) -o bin/kvs-edge-agent-$(DEB_ARCH) $(MAIN)
	$(PACKAGE) deb $(DEB_ARCH:armhf=armv7) bin/kvs-edge-agent-$(DEB_ARCH) '$(DEBVERSION)' bin

licenses: ## the licence texts of all that is linked into the program: deploy/generated/THIRD-PARTY-LICENSES
	@mkdir -p deploy/generated
	$(GO) run ./deploy/licenses >deploy/generated/THIRD-PARTY-LICENSES

TEST_ARCH = $(shell $(GO) env GOARCH)
test-deb: docs licenses ## install, check, start, upgrade and remove the package under a systemd of its own (root, Debian)
	$(RELEASE) -o bin/kvs-edge-agent $(MAIN)
	rm -rf bin/test-deb
	for v in 1.0.0 1.0.1; do $(PACKAGE) deb $(TEST_ARCH) bin/kvs-edge-agent $$v bin/test-deb || exit 1; done
	deploy/package/test bin/test-deb/kvs-edge-agent_1.0.0_*.deb bin/test-deb/kvs-edge-agent_1.0.1_*.deb

test-rpm: docs licenses ## install, upgrade and remove the .rpm package in a root of its own, and run the program there (root, Debian: rpm)
	$(RELEASE) -o bin/kvs-edge-agent $(MAIN)
	rm -rf bin/test-rpm
	for v in 1.0.0 1.0.1; do $(PACKAGE) rpm $(TEST_ARCH) bin/kvs-edge-agent $$v bin/test-rpm || exit 1; done
	deploy/package/test bin/test-rpm/kvs-edge-agent-1.0.0-1.*.rpm bin/test-rpm/kvs-edge-agent-1.0.1-1.*.rpm

IMAGE     ?= kvs-edge-agent:$(DEBVERSION)
IMAGEARCH ?= $(shell $(GO) env GOARCH)
image: licenses ## a container image of this version for IMAGEARCH, with docker, podman or buildah, from nothing but this tree
	GOOS=linux GOARCH=$(IMAGEARCH) GOARM=7 $(RELEASE) -o bin/image-kvs-edge-agent $(MAIN)
	deploy/container/build bin/image-kvs-edge-agent $(IMAGEARCH) '$(IMAGE)'

test-image: ## build the image with buildah, and run version, check, a demo and a reload in it (root, Debian)
	CONTAINER_TOOL=buildah $(MAKE) image IMAGE=kvs-edge-agent:test
	deploy/container/test kvs-edge-agent:test

test-arm: dist ## install the arm64 and armhf packages and run their programs, under qemu (root, Debian: qemu-user-static)
	deploy/debian/test-foreign dist/kvs-edge-agent_*_arm64.deb dist/kvs-edge-agent_*_armhf.deb

docs: ## what is generated from the code: docs/settings.md, the man page, shell completions, the numbers of docs/testing.md
	$(GO) run $(MAIN) generate-docs docs deploy/generated
	$(GO) run ./deploy/testing

changelog: ## CHANGELOG.md, from the entries in changelog/
	@mkdir -p bin
	$(GO) run ./deploy/changelog >bin/CHANGELOG.md.new && mv bin/CHANGELOG.md.new CHANGELOG.md

demo: build ## the main job without an AWS account
	bin/kvs-edge-agent demo $(DEMO_FLAGS)

# Most tests wait for cameras and clouds, not for the processor: several at once, and the packages
# that take longest first. What fails beside the others is judged alone, as decision 22 says.
TESTFLAGS = -parallel 8 -timeout 20m
TESTMODE  = -p 4
GOTEST    = $(GO) tool gotestsum --format standard-quiet --rerun-fails=2 --rerun-fails-max-failures=6 --rerun-fails-abort-on-data-race
TESTED    = ./internal/recorder ./cmd/kvs-edge-agent ./internal/agent ./internal/camera ./internal/preflight ./...

# Those that speak to AWS by its SDK, as most hubs have it: without AWS_CA_BUNDLE, with the roots that
# crypto/x509 finds. For everything else the two ways are one.
SDKTESTED = $$($(GO) list -test -f '{{if .ForTest}}{{.ForTest}} {{join .Deps " "}}{{end}}' ./... | sed -n 's,^\([^ ]*\) .*aws-sdk-go-v2/service.*,\1,p' | sort -u)

test-roots: ## the tests of all packages that import the AWS SDK, with SSL_CERT_FILE in place of AWS_CA_BUNDLE
	env -u AWS_CA_BUNDLE KVS_EDGE_TEST_CA=ssl-cert-file $(GOTEST) --packages="$(SDKTESTED)" -- $(TESTMODE) $(TESTFLAGS)

test: ## all tests, without the race detector that `make check` has; on Debian it first installs what they check with, elsewhere they skip what is missing
	@.ci/tools || echo "going on without: the tests that need them are skipped"
	$(GOTEST) --packages="$(TESTED)" -- $(TESTMODE) $(TESTFLAGS)

# Only its own files are run: no package runs a script when it is installed. Without npm nothing is installed: the test is then skipped, and fails in CI.
player: ## AWS's own video player, which tests run against the local cloud, into .ci/player/node_modules
	@if ! command -v npm >/dev/null; then echo "npm is not installed: AWS's player is left out"; exit 0; fi; \
	  cd .ci/player && { cmp -s package-lock.json node_modules/installed-from || \
	  { npm ci --ignore-scripts --no-audit --no-fund && cp package-lock.json node_modules/installed-from; }; }

web-tools: ## axe-core and TypeScript, with which tests examine the web pages, into .ci/web/node_modules
	@if ! command -v npm >/dev/null; then echo "npm is not installed: axe-core and TypeScript are left out"; exit 0; fi; \
	  cd .ci/web && { cmp -s package-lock.json node_modules/installed-from || \
	  { npm ci --ignore-scripts --no-audit --no-fund && cp package-lock.json node_modules/installed-from; }; }

test-web: web-tools ## the web pages in Chromium, with axe-core and TypeScript
	$(GO) test -count 1 ./internal/web/...

screenshots: tools ## the pictures of docs/web.md, of an agent with cameras of a shop that does not exist
	@mkdir -p docs/screenshots
	KVS_EDGE_SCREENSHOTS=docs/screenshots KVS_EDGE_REQUIRE_TOOLS=1 $(GO) test -count 1 -v -run '^TestScreenshotsOfEachPage$$' $(MAIN)

test-player: player ## what AWS's own video player finds of uploaded media, compared with what is stored
	KVS_EDGE_PROOFS=middle $(GO) test -count 1 -timeout 20m -run '^TestAWSsPlayer' ./internal/localcloud ./cmd/kvs-edge-agent

lint: ## gofmt, go vet, staticcheck, and whether it builds for 32 bits
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "gofmt these files:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	CGO_ENABLED=0 GOOS=linux GOARCH=arm GOARM=7 $(GO) build -o /dev/null $(MAIN)

vuln: ## known vulnerabilities that the program can reach, where a database is: GOVULNDB=file:///path, or vuln.go.dev
	@.ci/vulnerabilities

test-vuln: ## see that a vulnerability fails the build: the database here has a made-up one
	@if GOVULNDB=file://$(CURDIR)/.ci/testdata/vulndb .ci/vulnerabilities ./internal/scheduler; then echo "it was not found"; exit 1; fi

check: TESTMODE = -race -p 2
check: tools player web-tools lint vuln ## what CI runs: lint, known vulnerabilities, all tests, none skipped for want of a program, and counts of instructions
	KVS_EDGE_REQUIRE_TOOLS=1 KVS_EDGE_TEST_WORLDS=our-contract $(GOTEST) --packages="$(TESTED)" -- $(TESTMODE) $(TESTFLAGS)
	KVS_EDGE_REQUIRE_TOOLS=1 KVS_EDGE_TEST_WORLDS=as-aws $(MAKE) test-roots TESTMODE='$(TESTMODE)'
	@$(MAKE) bench-counts
	@$(MAKE) proofs

# The long proofs are the lines of .ci/proofs: make long-NAME does one of them whole.
PROOFS := $(shell sed -n 's/^\([a-z][a-z-]*\);.*/\1/p' .ci/proofs)
LONG   := $(addprefix long-,$(PROOFS))
.PHONY: $(LONG) proofs
$(LONG): tools player
	@KVS_EDGE_REQUIRE_TOOLS=1 GO='$(GO)' .ci/proof long $(@:long-%=%)

proofs: tools player ## the long proofs in their middle size, as CI does them, each with its time
	@KVS_EDGE_REQUIRE_TOOLS=1 GO='$(GO)' .ci/proof middle

# Names that they had before.
.PHONY: interop soak-kills soak-cameras
interop: long-interop
soak-kills: long-kills
soak-cameras: long-cameras

tools: ## the programs that tests check our work with, from Debian
	@.ci/tools

FUZZTIME ?= 60s
fuzz: ## every fuzz target for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; done

# SEED=7 TRACE=file writes the choices of that life, or replays them where the file exists.
simulate: ## the lives of hubs in seeds, SEEDS=1-2000 (or SEED=7 TRACE=file); MOST=6h bounds their length
	KVS_EDGE_SIMULATE_SEEDS='$(or $(SEED),$(SEEDS),1-2000)' KVS_EDGE_SIMULATE_TRACE='$(TRACE)' KVS_EDGE_SIMULATE_MOST='$(MOST)' \
	  $(GO) test -count 1 -timeout 12h -v -run '^$(if $(SEED),TestALifeInASeed,TestLivesInSeeds)$$' ./internal/simulate

bench: bench-micro bench-allocations bench-counts bench-counts-keep bench-cameras bench-upload bench-startup bench-idle budgets ## all measurements; about half an hour

BENCHCOUNT ?= 3
# Those that build stores of up to a million segments run a fixed number of times.
BENCH_HOT   = ./internal/mkv ./internal/accessunit ./internal/timeline ./internal/cloud/kvs ./internal/scheduler ./internal/changes
BENCH_SCALE = ./internal/segment ./internal/retention
# A million files take minutes to make: BENCH_SKIP=none includes them.
BENCH_SKIP ?= /1000000|//1000000
bench-micro: ## Go benchmarks of the hot paths and of large stores, compared with the results kept last
	$(GO) test -run '^$$' -bench . -benchmem -benchtime 0.3s -count $(BENCHCOUNT) $(BENCH_HOT) > bench/results/micro.new
	$(GO) test -run '^$$' -bench . -benchmem -benchtime 30x -skip '$(BENCH_SKIP)' -timeout 20m $(BENCH_SCALE) >> bench/results/micro.new
	@if [ -f bench/results/micro.txt ]; then $(GO) tool benchstat bench/results/micro.txt bench/results/micro.new; else cat bench/results/micro.new; fi
	@mv bench/results/micro.new bench/results/micro.txt

bench-allocations: ## what recording allocates for each RTP packet, from the socket to the file
	$(GO) test -count 1 -v -run '^TestRecordingAllocatesNothingPerPacket$$' ./internal/recorder > bench/results/allocations.txt || { cat bench/results/allocations.txt; exit 1; }
	@grep 'per packet' bench/results/allocations.txt

# As the program is built for hubs, so that it is their code which is counted.
COUNTS = CGO_ENABLED=0 $(GO) build -trimpath -o bin/bench-counts ./bench/counts && bin/bench-counts
bench-counts: tools ## instructions per byte of media, compared with those kept for this version of Go: does not depend on the machine
	$(COUNTS)

bench-counts-keep: tools ## keep these counts as the ones to compare with
	$(COUNTS) -keep

CAMERAS ?= 1 16 64
MEASURE ?= 60s
bench-cameras: build tools ## what recording costs beside ffmpeg, GStreamer and a floor, in one run
	$(GO) build -o bin/bench-recording ./bench/recording
	@for n in $(CAMERAS); do bin/bench-recording -cameras $$n -measure $(MEASURE) -out bench/results/recording.jsonl || exit 1; done

bench-startup: build ## from the start to the first frame, with 138,000 segments on disk
	$(GO) build -o bin/bench-startup ./bench/startup
	bin/bench-startup -out bench/results/startup.jsonl

bench-flushes: build ## how often the disk empties its cache with 64 cameras, and the bytes that it writes; needs root (AGENTS=before=PATH,now=bin/kvs-edge-agent)
	$(GO) build -o bin/bench-recording ./bench/recording
	$(GO) build -o bin/bench-flushes ./bench/flushes
	bin/bench-flushes $(if $(AGENTS),-agents $(AGENTS)) -out bench/results/flushes.jsonl

bench-idle: build ## what the agent takes while it has nothing to do
	$(GO) build -o bin/bench-idle ./bench/idle
	bin/bench-idle -out bench/results/idle.jsonl

budgets: ## what the last measurements say of each budget
	@$(GO) run ./bench/budgets

bench-upload: build tools ## rate, cost beside curl, and live latency of uploads against the local cloud
	$(GO) build -o bin/bench-upload ./bench/upload
	bin/bench-upload -out bench/results/upload.jsonl

SOAK ?= 8h
SOAK_OUT ?= bin/soak.jsonl
soak: build ## one agent lives through everything at once for SOAK=8h; what it takes must stay flat, and the cloud must have all frames
	$(GO) build -o bin/soak ./bench/soak
	bin/soak -for $(SOAK) -out $(SOAK_OUT)

clean: ## remove what was made
	rm -rf bin dist deploy/generated
