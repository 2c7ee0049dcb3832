# The front door. Each line also works without just, as written here.

# Lists the recipes
default:
    @just --list

# What CI's fast part checks; give step names to run only those
[group('check')]
ci *STEPS:
    cargo xtask ci {{ STEPS }}

# Unit and golden tests of one package
[group('check')]
test PACKAGE:
    cargo nextest run -p {{ PACKAGE }}

# Everything without the lab
[group('check')]
test-here:
    scripts/test --no-lab

# Everything
[group('check')]
test-all:
    scripts/test --full

# Each fuzz target for SECONDS
[group('check')]
fuzz SECONDS='10' *TARGETS:
    cargo xtask fuzz --seconds {{ SECONDS }} {{ TARGETS }}

# Writes the documents that our programs print
[group('write')]
gen:
    cargo xtask gen

# Accepts what the golden tests print now; read the diff before committing it
[group('write')]
bless:
    GPUVIRT_BLESS=1 cargo nextest run --workspace --exclude gpuvirt-e2e

# Formats
[group('write')]
fmt:
    cargo fmt --all

# Both modes, shown in the lab
[group('lab')]
demo:
    scripts/demo

# build, up, exec, push, down, shell ...
[group('lab')]
lab *ARGS:
    scripts/lab {{ ARGS }}

# Measures and writes docs/performance.md
[group('measure')]
bench:
    scripts/bench
