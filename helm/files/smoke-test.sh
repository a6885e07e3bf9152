#!/bin/bash
# Trains a tiny codebook, encodes with it and deletes it again: smoke-test.sh HOST PORT. Needs bash and cat alone, so that the
# service's own image can run it; nothing is activated, so that nobody's codes change. Where the service has API keys, SEMANTIC_ID_API_KEY
# is one with all scopes.
set -euo pipefail
host=$1 port=$2 codebook=smoke-test

# call METHOD PATH [TYPE LENGTH]: sends standard input as the body; the answer goes to standard output.
call() {
  exec 3<>"/dev/tcp/$host/$port"
  printf '%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n' "$1" "$2" "$host" >&3
  [[ ! ${SEMANTIC_ID_API_KEY:-} ]] || printf 'X-API-Key: %s\r\n' "$SEMANTIC_ID_API_KEY" >&3
  if (($# > 2)); then
    printf 'Content-Type: %s\r\nContent-Length: %d\r\n\r\n' "$3" "$4" >&3
    cat >&3
  else
    printf '\r\n' >&3
  fi
  cat <&3
  exec 3>&-
}

# field NAME: the first string or number of that name in standard input.
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" | head -n 1; }

die() {
  echo "smoke test of $host:$port: $*" >&2
  exit 1
}

# 64 rows of 8 float16 numbers, little-endian, between 1 and 2.
rows() {
  local row component
  for ((row = 0; row < 64; row++)); do
    for ((component = 0; component < 8; component++)); do
      printf "\\x$(printf %02x $(((row * 37 + component * 101 + row * component * 13) % 256)))\\x3c"
    done
  done
}

answer=$(rows | call POST "/train?codebook=$codebook&embedding_dim=8&dtype=f2&codebook_width=8&num_hierarchies=2&init_buffer_size=64&batch_size=64&max_steps=10&activate=never" application/octet-stream 1024)
job=$(field id <<<"$answer")
[[ $job ]] || die "the training was refused: $answer"
for ((i = 0; i < 150; i++)); do
  answer=$(call GET "/train/$job")
  state=$(field state <<<"$answer")
  [[ $state == queued || $state == running ]] || break
  sleep 0.2
done
[[ $state == succeeded ]] || die "the training did not succeed: $answer"
version=$(field version <<<"$answer")

body='{"embeddings":[[1,1,1,1,1,1,1,1],[2,1,2,1,2,1,2,1]]}'
answer=$(call POST "/encode?codebook=$codebook&version=$version" application/json ${#body} <<<"$body")
deleted=$(call DELETE "/codebooks/$codebook/versions/$version")
[[ $answer =~ \"semantic_ids\":\[\[[0-7],[0-7]\],\[[0-7],[0-7]\]\] ]] || die "unexpected codes: $answer"
[[ $deleted == *' 204 '* ]] || die "the codebook was not deleted: $deleted"
echo "smoke test of $host:$port: trained, encoded, deleted"
