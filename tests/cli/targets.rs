//! What every target has to keep, whatever its product: the same project to each, by changing only `--target`.
//!
//! The tools and the cluster are scripted after what the real ones print; what a real cluster does, the tests of
//! `cluster` and `targets` see.

mod contract;
mod product;
mod told;

pub use product::image;
