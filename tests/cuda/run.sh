#!/usr/bin/env bash
# Runs a program for GPUs with the driver of driver.rs, which lies beside this script: its kernels are functions of the library PROGRAM.so.
#
#   run.sh PROGRAM WORDS…
set -euo pipefail
folder=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH=$folder SEQC_DEVICE_CODE=$1.so exec "$@"
