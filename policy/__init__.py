"""A policy pack for stacks of this project: `pulumi preview --policy-pack policy`. See docs/policies.md."""
