#!/bin/sh
# Installs what the tests use beyond the virtual environment: a JDK and Maven (Robolectric), qemu and an arm64
# C library (the phone's own library on this machine), clang (fuzzers), apksigner (a second opinion), adb (a scripted phone),
# Chromium (the report in a browser), libfaketime (a clock that is set back).
# Without root and apt it only says what is missing; the tests that need it are then skipped by name.
packages="adb default-jdk-headless maven qemu-user-static g++-aarch64-linux-gnu clang libclang-rt-14-dev llvm apksigner chromium libfaketime"
have() { command -v "$1" >/dev/null 2>&1; }
if have javac && have mvn && have qemu-aarch64-static && have aarch64-linux-gnu-gcc && have clang && have apksigner && have adb; then
  exit 0
fi
if have apt-get && [ "$(id -u)" = 0 ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && for package in $packages; do
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null || echo "could not install $package"
  done
else
  echo "some tests will be skipped; to run them all: sudo apt-get install $packages"
fi
