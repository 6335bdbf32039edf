# `make` alone lists the targets. Everything lives in .venv and var/; nothing else is touched, but
# for Debian packages that tests and benchmarks need (see .ci/packages), when run as root.
SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

# Whose tests need neither sockets nor waiting.
PURE := $(wildcard tests/sip tests/sdp tests/rtp tests/call tests/pbx tests/sdg \
	tests/sbc_bridge tests/bundle tests/console tests/packaging tests/torture tests/phonebook tests/backup \
	tests/trunk tests/cli/test_arguments.py tests/cli/test_ladder.py tests/cli/test_sdg.py)
TEST_PACKAGES := baresip chromium dnsmasq-base espeak-ng gcc iproute2 kamailio kamailio-tls-modules ldap-utils libc6-dev \
	libssl-dev linphone-cli nftables procps sip-tester slapd systemd tcpdump tshark
BENCH_PACKAGES := gcc iproute2 kamailio kamailio-sqlite-modules kamailio-tls-modules \
	libc6-dev libssl-dev nftables openssl procps rtpengine-daemon sip-tester sqlite3

IMAGE_PACKAGES := dosfstools dpkg-dev e2fsprogs fdisk grub-efi-amd64-bin grub-pc-bin mmdebstrap mtools \
	openssh-client ovmf qemu-system-x86 qemu-utils squashfs-tools vagrant

.PHONY: help setup demo run test check format bench soak fuzz deb image image-test screenshots sounds clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.ready ## Python environment with locked packages in .venv (quick when done)

$(VENV)/bin/python:
	@.ci/venv $(VENV)

$(VENV)/.ready: requirements-dev.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing locked Python packages into $(VENV)"
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## a site loses its cloud: fifty phones, real audio, a timeline, a verdict
	@$(BIN)/holdfast demo $(DEMO)

run: setup ## Holdfast in the foreground with its data in var/
	@$(BIN)/holdfast --data var/data --run var/run $(RUN) run

check: setup ## style, types, import rules and the pure tests, in half a minute
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(if $(PURE),$(BIN)/python -m pytest $(PURE))

test: check ## every test; as root also those with namespaces and real phones
	@$(BIN)/mypy -p tests
	@.ci/packages $(TEST_PACKAGES)
	@.ci/test $(PURE:%=--ignore=%) --ignore=tests/image

format: setup ## put the code into the project's form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix-only .

bench: setup ## the figures of docs/performance.md, beside Kamailio and sippy
	@.ci/packages $(BENCH_PACKAGES)
	@$(BIN)/python -m benchmarks $(BENCH)

soak: setup ## hours of mixed load, watching memory and descriptors (SOAK="--minutes 60" or "--calls 10000")
	@$(BIN)/python -m benchmarks.soak $(SOAK)

simulate: setup ## a thousand simulated hours of every feature at random (quarter of an hour)
	@HOLDFAST_SIMULATED_HOURS=340 $(BIN)/python -m pytest -o timeout=7200 tests/simulation/test_features.py

fuzz: setup ## ten minutes of hostile messages (FUZZ_SECONDS=75 for each of its tests)
	@HOLDFAST_FUZZ_SECONDS=$(or $(FUZZ_SECONDS),75) $(BIN)/python -m pytest tests/fuzz

deb: setup ## the Debian package in var/image
	@$(BIN)/python -m image.deb

image: setup ## the appliance's image in var/image: qcow2, raw, OVA, package, list of parts
	@.ci/packages $(IMAGE_PACKAGES)
	@$(BIN)/python -m image.build

image-test: setup ## boot the image, install package and wheel in clean roots: many minutes
	@.ci/packages $(IMAGE_PACKAGES) $(TEST_PACKAGES)
	@$(BIN)/python -m pytest tests/image

sounds: setup ## make the prompts and the music anew from their texts (needs espeak-ng)
	@$(BIN)/python -m appliance.sounds.make

screenshots: setup ## pictures of every web page into docs/screenshots (needs chromium)
	@$(BIN)/python -m tests.web.shots docs/screenshots

clean: ## remove what make made
	rm -rf $(VENV) var build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
