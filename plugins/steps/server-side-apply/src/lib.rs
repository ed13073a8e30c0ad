//! The step `apply`: what is applied, kept and deleted, in which waves. A pure function, without any capability.

mod compare;
mod object;
mod order;
mod plan;
mod sequence;

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
