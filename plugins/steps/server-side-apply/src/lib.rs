//! The step `apply`: plans the objects to apply, keep and delete, in waves. A pure function without any capability.

mod compare;
mod dependencies;
mod object;
mod order;
mod plan;
mod prune;

use todohost_plugin::apply::{Request, Wave};
use todohost_plugin::{Apply, NoOptions, Result, log};

struct ServerSideApply;

impl Apply for ServerSideApply {
    type Options = NoOptions;

    fn plan(_options: NoOptions, request: Request) -> Result<Vec<Wave>> {
        let plan = plan::plan(&request)?;
        for warning in &plan.warnings {
            log::warn(warning);
        }
        Ok(plan.waves)
    }
}

todohost_plugin::export!(ServerSideApply: apply);
