//! Whole-program tests of todohost: `cli` against scripted worlds, `cluster` against a real one.
