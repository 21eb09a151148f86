"""The rules of the house (docs/architecture.md), as functions of a source tree."""
