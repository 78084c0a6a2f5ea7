// What has changed in Azurite's tables since they were last saved, so that a killed Azurite forgets nothing.
//
// Azurite keeps its tables with loki, which writes a whole table every five seconds. Here each change is also appended to
// a journal beside the table's file, before the client gets its answer, as one line of JSON:
//     {"collection": name, "id": loki's number, "document": the document, or null for one that was removed}
// When a table is saved its journal is set aside, and forgotten once the save has succeeded. When a table is loaded its
// journals are played: the last word about each document counts, so that one that the table has already does no harm.
"use strict";

const fs = require("fs");

class Journal {
  constructor(table) {
    this.path = `${table}.journal`;
    this.asidePath = `${table}.journal.aside`;
    this.file = null;
    this.length = 0;
  }

  note(collection, id, document) {
    if (this.file === null) {
      this.file = fs.openSync(this.path, "a", 0o600);
      this.length = fs.fstatSync(this.file).size;
    }
    const line = Buffer.from(JSON.stringify({ collection, id, document }) + "\n");
    try {
      fs.writeSync(this.file, line);
      this.length += line.length;
    } catch (error) {
      fs.ftruncateSync(this.file, this.length); // a disk without room: no half of a line stays
      throw error;
    }
  }

  setAside() {
    if (this.file !== null) fs.closeSync(this.file);
    this.file = null;
    if (!fs.existsSync(this.path)) return;
    if (fs.existsSync(this.asidePath)) {
      fs.appendFileSync(this.asidePath, fs.readFileSync(this.path)); // of a save that failed
      fs.unlinkSync(this.path);
    } else {
      fs.renameSync(this.path, this.asidePath);
    }
  }

  forgetAside() {
    fs.rmSync(this.asidePath, { force: true });
  }

  // [collection, id, document or null], the removals first, then by id: loki finds a document by the order of the ids.
  changes() {
    const last = new Map();
    for (const path of [this.asidePath, this.path]) {
      if (!fs.existsSync(path)) continue;
      for (const line of fs.readFileSync(path, "utf8").split("\n").slice(0, -1)) {
        const { collection, id, document } = JSON.parse(line);
        last.set(`${id} ${collection}`, [collection, id, document]);
      }
    }
    return [...last.values()].sort((one, other) => (one[2] !== null) - (other[2] !== null) || one[1] - other[1]);
  }
}

function play(database, journal) {
  for (const [name, id, document] of journal.changes()) {
    const collection = database.getCollection(name);
    if (collection === null) throw new Error(`${journal.path}: there is no collection ${name}`);
    const known = collection.get(id);
    if (document === null) {
      if (known !== null) collection.remove(known);
    } else if (known !== null) {
      collection.update(document);
    } else {
      const most = collection.maxId;
      delete document.$loki;
      collection.maxId = id - 1; // the number that loki gives next is the one that the document had
      collection.insert(document);
      collection.maxId = Math.max(collection.maxId, most);
    }
  }
}

module.exports = function keepJournals(Loki) {
  const journals = new WeakMap();
  const heard = new WeakSet();
  const { addCollection, loadDatabase, saveDatabaseInternal } = Loki.prototype;

  function journalOf(database) {
    if (database.persistenceMethod !== "fs") return null;
    if (!journals.has(database)) journals.set(database, new Journal(database.filename));
    return journals.get(database);
  }

  function hear(database, collection) {
    const journal = journalOf(database);
    if (journal === null || heard.has(collection)) return;
    heard.add(collection);
    const note = (documents) => {
      for (const each of [documents].flat()) journal.note(collection.name, each.$loki, each);
    };
    collection.on("insert", note);
    collection.on("update", note);
    collection.on("delete", (document) => journal.note(collection.name, document.$loki, null));
  }

  Loki.prototype.addCollection = function (...given) {
    const collection = addCollection.apply(this, given);
    hear(this, collection);
    return collection;
  };

  Loki.prototype.loadDatabase = function (options, callback) {
    return loadDatabase.call(this, options, (error) => {
      if (!error && journalOf(this) !== null) {
        try {
          play(this, journalOf(this));
          this.collections.forEach((collection) => hear(this, collection));
        } catch (problem) {
          error = problem;
        }
      }
      if (callback) callback(error);
    });
  };

  Loki.prototype.saveDatabaseInternal = function (callback) {
    const journal = journalOf(this);
    journal?.setAside(); // loki reads its collections in this very moment
    return saveDatabaseInternal.call(this, (error) => {
      if (!error) journal?.forgetAside();
      if (callback) callback(error);
      else if (error) throw error;
    });
  };
};
