//! Rolls back a failed revision: restores the previous revision, or removes a first install.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::hooks::{Stage, run_hooks};
use super::keep_failed::{is_kept, keep_failed};
use super::leftovers::unreachable_rollback;
use super::lock::ReleaseLock;
use super::revision::Pending;
use crate::connected::Connected;
use crate::context::note;
use crate::error::RunError;
use crate::images::restore::restore_images;
use crate::report::failure_report::{self, Evidence};
use crate::verify::verify_restored;
use todohost_cluster::{Client, Timeouts};
use todohost_model::event::Level;
use todohost_release::{AppliedChanges, Document, HookEvent, Record, Status, Transaction};

/// Rolls back, or keeps the failed revision if the user wants that. Returns the error that the run ends with.
pub(super) async fn run(mut pending: Pending, lock: &mut ReleaseLock, error: RunError) -> RunError {
    let connected = std::sync::Arc::clone(&pending.connected);
    let bus = connected.cx.bus.for_step("rollback");
    let is_kept = is_kept(&pending);
    if !is_kept {
        let what = if pending.is_upgrade {
            "rolling back to the previous revision"
        } else {
            "removing the objects of the first install"
        };
        note(
            &bus,
            Level::Warn,
            format!("{what}; press Ctrl-C again to quit now without rolling back"),
        );
    }
    let was_cancelled = error.is_cancelled();
    let client = if was_cancelled {
        // The user is waiting: give up soon on a cluster that does not answer.
        let client = connected.client.without_cancel(Timeouts::BRIEF);
        if let Err(silence) = client.answers().await {
            return unreachable_rollback(RunError::cancelled(), silence, &pending);
        }
        client
    } else {
        connected.client.without_cancel(Timeouts::default())
    };
    if let (Some(record), false) = (&pending.record, was_cancelled) {
        let evidence = std::mem::take(&mut pending.evidence);
        let (objects, hooks) = (&pending.objects, &pending.done.hooks);
        failure_report::write(&connected, evidence, record.revision, objects, hooks, &error).await;
    }
    if is_kept {
        return keep_failed(pending, &connected.store.with_client(client), error, &bus).await;
    }
    match Box::pin(roll_back(pending, lock, client, &error)).await {
        Ok(left) if was_cancelled => RunError::Cancelled { left },
        Ok(left) => {
            note(&bus, Level::Info, left);
            error
        }
        Err(rollback) => {
            RunError::LeftOver { failed: Box::new(error), rollback: Box::new(rollback) }
        }
    }
}

/// Returns one line on the state of the cluster afterwards.
async fn roll_back(
    pending: Pending,
    lock: &mut ReleaseLock,
    client: Client,
    why: &RunError,
) -> Result<String, RunError> {
    let Pending {
        connected,
        transaction,
        begun,
        record,
        is_unconfirmed,
        mut done,
        dry_run,
        previous,
        ..
    } = pending;
    let store = connected.store.with_client(client.clone());
    let transaction = Transaction { client, cancel: CancellationToken::new(), ..transaction };
    // Objects that existed before are restored with the previous revision, or never belonged to the release.
    done.unknown.retain(|object| dry_run.creates(object));
    if !connected.interrupted.is_empty() {
        // These objects are as a killed run left them, so their state before is not the previous revision's.
        done.rejected.clear();
    }
    let record = match record {
        Some(record) => Some(record),
        None if is_unconfirmed => store.begun_at(begun).await?,
        None => None,
    };
    match (&connected.deployed, record) {
        (Some(base), Some(record)) => {
            restore(&connected, &transaction, base.clone(), record, &done, &previous, why).await
        }
        // Without a revision nothing was changed.
        (Some(_), None) => Ok("nothing was changed".to_owned()),
        (None, record) => {
            transaction.roll_back(&done, &[]).await?;
            match record {
                Some(record) => store.remove(record.revision).await?,
                None => store.remove_unused_salt().await?,
            }
            lock.release(&connected).await;
            transaction.remove_namespace().await?;
            Ok("removed the objects of the first install".to_owned())
        }
    }
}

/// Restores the current revision, with its rollback hooks before and after. The user's Ctrl-C does not end this.
async fn restore(
    connected: &Connected,
    transaction: &Transaction,
    mut base: Record,
    mut failed: Record,
    done: &AppliedChanges,
    previous: &[Document],
    why: &RunError,
) -> Result<String, RunError> {
    let bus = connected.cx.bus.for_step("rollback");
    let store = connected.store.with_client(transaction.client.clone());
    let (mut made, completed, mut evidence) =
        (AppliedChanges::default(), BTreeSet::new(), Evidence::default());
    let mut stage = Stage {
        connected,
        transaction,
        record: &mut base,
        done: &mut made,
        completed: &completed,
        evidence: &mut evidence,
        bus: &bus,
    };
    restore_images(connected, stage.record, &bus).await;
    let before = run_hooks(HookEvent::PreRollback, &mut stage).await;
    let undone = transaction.roll_back(done, previous).await;
    let description = connected.vault.redact(&why.failure().message);
    store.finish(&mut failed, Status::Failed, &description).await?;
    verify_restored(connected, &transaction.client, &undone?.restored).await?;
    before?;
    run_hooks(HookEvent::PostRollback, &mut stage).await?;
    Ok(format!("rolled back to revision {}", base.revision))
}
