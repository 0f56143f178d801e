# Prints the matrices of cases with what became of their tests.
# Use: awk -v whole=1 -f tests/table.awk RESULTS SKIPS tests/it/*/cases.txt
# RESULTS is what `cargo nextest run` or `cargo test` printed; SKIPS names a test a line, and what it
# missed. With whole=1 every case must have run: else it ends with 1.

function id_of(test, parts, count) {
  count = split(test, parts, "::")
  return toupper(substr(parts[count], 1, 3))
}

function note(test, outcome) {
  if (test in seen) return
  seen[test] = 1
  ran[id_of(test)]++
  if (outcome != "pass") failed[id_of(test)] = outcome
}

FILENAME == ARGV[1] && $1 ~ /^(PASS|LEAK)$/ { note($NF, "pass") }
FILENAME == ARGV[1] && $1 ~ /^(FAIL|TIMEOUT|ABORT|SIG[A-Z]+|LEAK-FAIL)$/ { note($NF, "FAIL") }
FILENAME == ARGV[1] && $1 == "test" && $3 == "..." && $4 ~ /^(ok|FAILED)$/ { note($2, $4 == "ok" ? "pass" : "FAIL") }
FILENAME == ARGV[2] { test = $1; $1 = ""; missed[id_of(test)] = $0 }
FILENAME == ARGV[1] || FILENAME == ARGV[2] || /^#/ { next }

{
  id = $1
  bar = index($0, " | ")
  what = bar ? substr($0, 5, bar - 5) : substr($0, 5)
  if (id in failed) outcome = failed[id]
  else if (id in missed) outcome = "skipped:" missed[id]
  else if (id in ran) outcome = "pass"
  else if (bar) outcome = "no test: " substr($0, bar + 3)
  else if (whole) { outcome = "NOT RUN"; incomplete = 1 }
  else next
  if (!(id in ran) && !whole) next
  printf "%-4s %-80s %s\n", id, what, outcome
}

END { exit incomplete }
