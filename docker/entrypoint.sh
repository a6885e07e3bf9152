#!/bin/bash
# Starts the service with memory in shares of what the container may take, or else of the machine's. Whatever the
# environment says already wins; JAVA_OPTS come last and override every option here.
set -euo pipefail

limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || echo max)
machine=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo) * 1024))
if [[ $limit == max ]] || ((limit > machine)); then
  limit=$machine
fi

# Heap 45%, ND4J and oneDNN 20%, network buffers 5%. The rest is for classes, compiled code, threads and the native libraries,
# which need some 250 MB whatever the limit is.
heap=$((limit / 100 * 45))
export SEMANTIC_ID_MAX_OFF_HEAP=${SEMANTIC_ID_MAX_OFF_HEAP:-$((limit / 100 * 20))B}
export SEMANTIC_ID_JOBS_MEMORY_BUDGET=${SEMANTIC_ID_JOBS_MEMORY_BUDGET:-$((heap / 2))B}
export SEMANTIC_ID_TABLE_BUDGET=${SEMANTIC_ID_TABLE_BUDGET:-$((heap / 4))B}

# cuBLAS, in the CUDA variant.
export LD_LIBRARY_PATH=/app/natives${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

# The image is built with a training run, which has no cache yet.
cache=()
[[ ! -e /app/semantic-id-service.aot ]] || cache=(-XX:AOTCache=/app/semantic-id-service.aot)

# shellcheck disable=SC2086 # JAVA_OPTS is many words
exec java @/app/jvm.options -XX:MaxDirectMemorySize=$((limit / 100 * 5)) "${cache[@]}" ${JAVA_OPTS:-} \
  -jar /app/semantic-id-service.jar "$@"
