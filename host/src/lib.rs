//! The deployment host.
