// Loaded into Azurite with --require. Azurite's standard input is a pipe held by the lab's daemon alone.
//
// Its end: the daemon is gone, however it went, and Azurite closes as on SIGTERM, which saves its tables.
// A line on it: the storage accounts that Azurite has from now on, as AZURITE_ACCOUNTS has them. Azurite itself reads
// that variable again once a minute; here its account store is asked to do so at once.
"use strict";

const path = require("path");
const readline = require("readline");
const keepJournals = require("./journal.js");

const GRACE_MILLISECONDS = 5000;
const SAID = "lab: the accounts are taken over";

keepJournals(require(require.resolve("lokijs", { paths: [path.dirname(process.argv[1])] })));

const AccountDataStore = require(path.join(path.dirname(process.argv[1]), "../common/AccountDataStore.js")).default;
const stores = new Set();
const init = AccountDataStore.prototype.init;
AccountDataStore.prototype.init = async function () {
  stores.add(this);
  return init.call(this);
};

function end() {
  process.kill(process.pid, "SIGTERM");
  setTimeout(() => process.exit(0), GRACE_MILLISECONDS).unref();
}

const lines = readline.createInterface({ input: process.stdin });
lines.on("line", (line) => {
  process.env.AZURITE_ACCOUNTS = line;
  stores.forEach((store) => store.refresh());
  console.log(SAID);
});
lines.on("close", end);
process.stdin.on("error", end);
process.stdin.unref?.();
