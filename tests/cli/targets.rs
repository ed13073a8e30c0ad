//! The contract of every target: the same project deploys to each of them by changing only `--target`.
//!
//! The tools and the cluster are scripted after the output of the real ones. The tests of `cluster` and `targets` use
//! real clusters: kind, minikube with the docker driver and containerd, and a cluster that shares the engine's images
//! like Docker Desktop's kubeadm. Only modelled, and never run for real, are:
//!
//! - Docker Desktop: its command (`docker desktop status`, `start`), its settings file, its kind provisioner with
//!   the hidden nodes, and the rest of its kubeadm provisioner;
//! - minikube with the docker runtime in its node, and in a virtual machine.

#[cfg(unix)]
mod consent;
mod contract;
mod product;
mod reports;

pub use product::image;
