"""A small Pulumi engine, for machines without the pulumi CLI and for tests: `python -m lab.engine VERB`.

It runs the same program and the same providers over the same gRPC protocol, and keeps state in the CLI's own file
backend, so that the two can take turns. It serves lab stacks only. What it does not do it refuses by name: transforms,
hooks, reads (`.get`, StackReference), imports, remote components, method calls, policies, targets, assets and archives,
parameterised packages, other secrets providers than passphrases, other backends than files.

From the outside in: `__main__` (command line), `stack` and `project` (settings), `backend` (files and locks),
`deployment` (main loop), `monitor` (gRPC services), `goal` (a registration), `generator` (what has to be done), `step`,
`worker` (doing it), `journal` (what is saved when), `registry` and `plugin` (providers), `program`, `process` and
`child` (processes), `display`; `state`, `graph`, `values`, `property_path`, `urn` and `passphrase` are pure.
"""
