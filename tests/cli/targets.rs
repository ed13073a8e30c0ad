//! What every target has to keep, whatever its product: the same project to each, by changing only `--target`.
//!
//! The tools and the cluster are scripted after what the real ones print; what a real cluster does, the tests of
//! `cluster` and `targets` see: kind, minikube with the docker driver and containerd, and a cluster that shares the engine's
//! images as Docker Desktop's kubeadm does. Modelled only, and never run for real, are:
//!
//! - Docker Desktop itself: its command (`docker desktop status`, `start`), its settings file, its kind provisioner with
//!   the hidden nodes, and its provisioner kubeadm beyond that likeness;
//! - minikube with the docker runtime inside of its node, and in a virtual machine.

#[cfg(unix)]
mod consent;
mod contract;
mod product;
mod told;

pub use product::image;
