# Warren. `make help` says what there is; docs/testing.md says what the tests are.

export CGO_ENABLED = 0

GO       ?= go
BIN      := bin
FUZZTIME ?= 60s
DATA     := $(or $(WARREN_TEST_DATA),$(abspath ../shared/data))

# Programs that the tests run against; everything else is in go.mod and tools/go.mod.
PACKAGES := charon-systemd strongswan-swanctl libcharon-extra-plugins libstrongswan-extra-plugins \
	libstrongswan-standard-plugins libcharon-extauth-plugins tshark tcpdump iperf3 iproute2 iputils-ping \
	ethtool nftables openssl freeradius gcc libc6-dev user-mode-linux e2fsprogs

# Packages with goroutines of their own: these are tested with the race detector, too.
CONCURRENT = $(shell $(GO) list ./... | grep -E '/(system|context/worker|context/capture|context/replica|context/pipe|context/spawn|context/netns|esp/plane|failover/link)(/|$$)')

.PHONY: help
help: ## say what each target does
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

.PHONY: build
build: ## build warrend, warren-context and warren into bin/
	$(GO) build -trimpath -o $(BIN)/ ./cmd/...

.PHONY: demo
demo: ## show two tenants, and a failover pair, on this machine (root; needs nothing but Go)
	@test "$$(id -u)" = 0 || { echo "make demo needs root, because it makes network namespaces: sudo make demo" >&2; exit 1; }
	@$(MAKE) --no-print-directory build
	@$(GO) build -trimpath -o $(BIN)/demo ./internal/lab/demo
	@$(BIN)/demo -bin $(BIN)

.PHONY: test
test: deps check fuzz-short e2e demo ## everything: installs what it needs (apt, root), then check, fuzz-short, e2e and demo

.PHONY: deps
deps: ## install the programs that the tests run against (Debian, root); none of them is started as a service
	@command -v dpkg-query >/dev/null || { echo "make deps knows Debian only; the tests need: $(PACKAGES)" >&2; exit 1; }
	@missing=; for p in $(PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'install ok installed' || missing="$$missing $$p"; done; \
	test -z "$$missing" || { echo "installing:$$missing"; \
		export DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1; apt-get update -qq && apt-get install -qq -y --no-install-recommends $$missing >/dev/null; }

.PHONY: check
check: fmt vet staticcheck unit race ## formatting, vet, staticcheck, rings i to iii, race detector

.PHONY: fmt
fmt: ## fail on files that gofmt would change
	@out=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); test -z "$$out" || { echo "gofmt: $$out" >&2; exit 1; }

.PHONY: vet
vet: ## go vet, also of what only root runs
	$(GO) vet ./...
	$(GO) vet -tags e2e ./e2e/... ./interop ./conformance ./internal/lab/... ./bench/...

STATICCHECK := .cache/staticcheck
$(STATICCHECK): tools/go.mod tools/go.sum
	$(GO) -C tools build -o ../$@ honnef.co/go/tools/cmd/staticcheck

.PHONY: staticcheck
staticcheck: $(STATICCHECK) ## staticcheck, of the version in tools/go.mod
	$(STATICCHECK) ./...
	$(STATICCHECK) -tags e2e ./e2e/... ./interop ./conformance ./internal/lab/... ./bench/...

.PHONY: unit
unit: data ## rings i to iii: every test that needs no foreign program
	$(GO) test -timeout 30m ./...
	@echo 'which AES-GCM this processor could test:'
	@$(GO) test -count=1 -v -run '^TestImplementations$$' ./esp/aesgcm | sed -n 's/.*go:[0-9]*: /  /p'

.PHONY: sim
sim: ## the simulations of failover, of IKE and of files at length: 10,000 seeds (SEEDS=n), of files a tenth; writes docs/simulations.md
	$(GO) build -trimpath -o $(BIN)/sim ./bench/sim
	$(BIN)/sim -seeds $(or $(SEEDS),10000) $(SIMFLAGS)

.PHONY: race
race: ## the packages with goroutines, under the race detector (needs gcc)
	CGO_ENABLED=1 $(GO) test -race -timeout 30m $(CONCURRENT)

# Without the vectors their tests are skipped, which CI takes for a failure.
.PHONY: data
data:
	@test -d '$(DATA)' || { echo "the third-party vectors are not at $(DATA) (see docs/testing.md): their tests are skipped" >&2; test -z "$$CI"; }

.PHONY: e2e
e2e: build ## ring iv: namespaces and foreign daemons (root)
	$(GO) test -tags e2e -count=1 -timeout 45m -p 1 -parallel 2 $(E2EFLAGS) ./internal/lab ./e2e
	$(GO) test -tags e2e -count=1 -timeout 5m -run 'TestSample|TestWrong|TestCatalogue' $(E2EFLAGS) ./conformance

.PHONY: interop
interop: deps build ## the unit under the real systemd, on a machine of its own (Debian, root, a mirror); writes docs/interop.md
	apt-get update -qq
	$(GO) test -tags e2e -count=1 -timeout 30m -v ./interop

.PHONY: conformance
conformance: deps build ## strongSwan's own scenarios against Warren, with strongSwan as the peer (Debian, root); writes docs/conformance.md
	$(GO) test -tags e2e -count=1 -timeout 60m -parallel 2 -run TestScenarios $(CONFORMANCEFLAGS) ./conformance

.PHONY: fuzz
fuzz: data ## every fuzz target for FUZZTIME (60s) each, two at a time
	GO='$(GO)' FUZZTIME=$(FUZZTIME) .ci/fuzz

.PHONY: fuzz-short
fuzz-short: ## every fuzz target for 5 seconds
	@$(MAKE) --no-print-directory fuzz FUZZTIME=5s

.PHONY: bench
bench: build ## figures: memory, set-ups per second, throughput beside strongSwan (root)
	$(GO) build -trimpath -o $(BIN)/bench ./bench
	$(BIN)/bench

.PHONY: bench-late
bench-late: ## figures: what a set-up costs when 20,000 are connected, as a share of what it costs at first
	$(GO) test ./context/worker -run '^$$' -bench '^BenchmarkSetups$$' -benchtime 20000x

.PHONY: bench-all
bench-all: build ## the figures of make bench, strongSwan in turn, three rounds, and of a pair; a line for this commit in bench/history.jsonl (root)
	$(GO) build -trimpath -o $(BIN)/bench ./bench
	$(BIN)/bench -rounds 3 -history bench/history.jsonl $(BENCHFLAGS)
	$(BIN)/bench -only Failover -json bench/out/failover.json -history bench/history.jsonl $(BENCHFLAGS)

.PHONY: bench-failover
bench-failover: build ## figures: how long clients hear nothing when a node of a pair dies, with 1 and 10,000 SAs (root)
	$(GO) build -trimpath -o $(BIN)/bench ./bench
	$(BIN)/bench -only Failover -json bench/out/failover.json $(BENCHFLAGS)

.PHONY: bench-scale
bench-scale: build ## figures: start, plan and reload of 250 contexts, and their memory (root)
	$(GO) build -trimpath -o $(BIN)/bench-scale ./bench/scale
	$(BIN)/bench-scale -adopt $(BENCHFLAGS)

.PHONY: bench-dataplane
bench-dataplane: build ## figures: packets and processor time beside wireguard-go and strongSwan (root)
	$(GO) -C tools build -trimpath -o ../$(BIN)/wireguard-go golang.zx2c4.com/wireguard
	$(GO) build -trimpath -o $(BIN)/bench-dataplane ./bench/dataplane
	$(BIN)/bench-dataplane $(BENCHFLAGS)

.PHONY: soak
soak: build ## what takes hours: CI beside load, a pair on busy processors, 40 clients over rekeyings, switches and crashes (root)
	$(GO) build -trimpath -o $(BIN)/soak ./bench/soak
	$(BIN)/soak $(SOAKFLAGS)

.PHONY: bench-vs
bench-vs: ## this tree against another commit, in turn, in one run: make bench-vs BASE=COMMIT (root); writes docs/bench-vs.md
	@test -n '$(BASE)' || { echo "make bench-vs needs a commit to compare with: BASE=COMMIT" >&2; exit 2; }
	$(GO) build -trimpath -o $(BIN)/bench-versus ./bench/versus
	$(BIN)/bench-versus -base '$(BASE)' $(BENCHFLAGS)

.PHONY: clean
clean: ## remove what the other targets made
	rm -rf $(BIN) .cache bench/out
