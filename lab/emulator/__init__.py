"""Azure at home, as far as batch scoring needs it: `app.create_app(config.EmulatorConfig(...))` is all that others use.

`app` routes by host to `entra`, `arm`, `scoring`, `run_history` and `control`; `cloud` is the state that they share,
`store` what outlives a restart, `executions` the jobs on their way. docs/emulation.md says which answers are recorded.
"""
