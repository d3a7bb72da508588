#!/bin/sh
# Generates the Python stubs and the descriptor that Rust builds from. With --check it only tells whether the
# checked-in files are what the protos generate.
set -eu
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
.venv/bin/python -m grpc_tools.protoc -I proto --python_out="$out" --pyi_out="$out" --grpc_python_out="$out" \
    --include_imports --include_source_info --descriptor_set_out="$out/descriptor.binpb" $(find proto -name '*.proto' | LC_ALL=C sort)
# A file without services has an empty gRPC stub: it is not kept.
for stub in $(find "$out" -name '*_pb2_grpc.py'); do grep -q 'class .*Servicer' "$stub" || rm "$stub"; done
if [ "${1:-}" = "--check" ]; then
    cmp "$out/descriptor.binpb" proto/descriptor.binpb || { echo "proto/descriptor.binpb is out of date: run make proto" >&2; exit 1; }
    for package in v1 internal/v1; do
        diff -r -x '__pycache__' -x '__init__.py' -x '*.md' "$out/fairlead/$package" "sidecar/fairlead/$package" >&2 ||
            { echo "sidecar/fairlead/$package is out of date: run make proto" >&2; exit 1; }
    done
else
    rm -f sidecar/fairlead/v1/*_pb2* sidecar/fairlead/internal/v1/*_pb2*
    cp -r "$out/fairlead" sidecar/
    cp "$out/descriptor.binpb" proto/descriptor.binpb
fi
