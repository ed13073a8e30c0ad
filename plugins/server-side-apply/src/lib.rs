//! The step `apply`: what is applied, kept and deleted, in which waves. A pure function, without any capability.

mod compare;
mod object;
mod order;
mod plan;
mod quantity;

use todohost_plugin::apply::{Request, Wave};
use todohost_plugin::{Apply, NoOptions, Result};

struct ServerSideApply;

impl Apply for ServerSideApply {
    type Options = NoOptions;

    fn plan(_options: NoOptions, request: Request) -> Result<Vec<Wave>> {
        plan::plan(&request)
    }
}

todohost_plugin::export!(ServerSideApply: apply);
