//! The whole binary on a real cluster, named by `KUBECONFIG`, `DOCKER_HOST`, `DATABASE_URL` and `TODOHOST_TEST_TARGET`.
//! Without these variables every test fails and names the missing ones.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail tests by panicking")]

mod apply;
mod causes;
mod checklist;
mod doctor;
mod faults;
mod forward;
mod hooks;
mod interop;
#[cfg(unix)]
mod kills;
mod latency;
#[cfg(unix)]
mod lease;
mod load;
mod refusals;
mod restart;
mod shop;
mod todo;
mod web;
mod webhook;
