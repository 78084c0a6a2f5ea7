// Loaded into Azurite with --require. Azurite's standard input is a pipe held by the lab's daemon alone: when the daemon
// is gone, however it went, the pipe ends, and Azurite closes as on SIGTERM, which saves its tables.
"use strict";

const GRACE_MILLISECONDS = 5000;

function end() {
  process.kill(process.pid, "SIGTERM");
  setTimeout(() => process.exit(0), GRACE_MILLISECONDS).unref();
}

process.stdin.on("end", end);
process.stdin.on("error", end);
process.stdin.resume();
process.stdin.unref?.();
