//! Write a todohost plugin.
