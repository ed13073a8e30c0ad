//! Programs, given by name and never by path, with the arguments and variables that were granted.
//!
//! Each program runs in its own process group (on Windows, a job), so that Ctrl-C reaches only the host. The host stops
//! the program and its child processes, also if the host itself is killed.

mod archive;
mod child;
mod distribute;
#[cfg(unix)]
mod guard;
mod spawn;

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Result as EngineResult;
use wasmtime::component::Resource;

pub use child::ChildLines;
use distribute::{Sink, SinkOutput};
use spawn::{Output, PermittedCommand};

use super::host_call::HostCall;
use super::{Capability, workspace};
use crate::plugin::State;
use crate::plugin::wit::imports::process;
use crate::plugin::wit::{Command, Error, ErrorKind, Label};

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(10);
const MAX_TIMEOUT: Duration = Duration::from_hours(1);
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_PIPED: usize = 8;
const MAX_SINKS: usize = 32;

fn host_call(function: &'static str, detail: String, deadline: Duration) -> HostCall {
    HostCall { capability: Capability::Process, function, detail, deadline }
}

fn line(command: &Command) -> String {
    let mut words = vec![command.program.clone()];
    words.extend(command.args.iter().cloned());
    words.join(" ")
}

fn limit(command: &Command) -> Duration {
    command
        .timeout_ms
        .map_or(DEFAULT_TIMEOUT, |timeout| Duration::from_millis(timeout.into()))
        .min(MAX_TIMEOUT)
}

impl State {
    /// Checks the command against the grant, and adds the variables that it may have.
    fn permit(&self, command: &Command) -> Result<PermittedCommand, Error> {
        let passed_on = self.scope.process(&command.program, &command.args)?;
        let mut variables = self.variables(passed_on);
        for Label { key, value } in &command.env {
            if !passed_on.contains(key) {
                let message = format!(
                    "plugin `{}` is not allowed to set {key} for `{}`",
                    self.plugin_id, command.program
                );
                return Err(Error::new(ErrorKind::Denied, "todohost.grant.missing", message)
                    .with_help(format!(
                        "add {key:?} to `env` of its process-exec request in plugin.toml"
                    )));
            }
            variables.retain(|(name, _)| name != key);
            variables.push((key.clone(), value.clone()));
        }
        let root = &self.context.environment.project_root;
        let directory = match &command.cwd {
            None => root.clone(),
            Some(path) => workspace::resolve(root, &workspace::normalise(path)?)?,
        };
        let program = spawn::find(&command.program, &self.context.environment.variables)?;
        Ok(PermittedCommand { program, args: command.args.clone(), variables, directory })
    }

    fn variables(&self, passed_on: &[String]) -> Vec<(String, String)> {
        let environment = &self.context.environment.variables;
        passed_on
            .iter()
            .filter_map(|name| Some((name.clone(), environment.get(name)?.clone())))
            .collect()
    }

    fn answered(&self, output: Output) -> process::Output {
        process::Output {
            code: output.code,
            stdout: self.redacted(output.stdout),
            stderr: self.redacted(output.stderr),
            truncated: output.truncated,
        }
    }
}

/// Separates a refusal by the grant from other errors, such as a program that is not installed.
fn split(
    permitted: Result<PermittedCommand, Error>,
) -> (Result<(), Error>, Result<PermittedCommand, Error>) {
    match permitted {
        Err(error) if error.kind == ErrorKind::Denied => (Err(error.clone()), Err(error)),
        other => (Ok(()), other),
    }
}

impl State {
    /// Runs a command of the component for the host. The component never gets the output.
    pub(crate) async fn output_for_host(&mut self, command: Command) -> Result<String, Error> {
        let (granted, call) = split(self.permit(&command));
        let checked = host_call("run", line(&command), limit(&command));
        let output = self.call(checked, granted, async { spawn::run(&call?, None).await }).await?;
        if output.code == Some(0) && !output.truncated {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let message = format!("`{}` failed", line(&command));
        let words = String::from_utf8_lossy(&self.redacted(output.stderr)).into_owned();
        let mut error = Error::new(ErrorKind::Unavailable, "todohost.process.failed", message);
        error.causes = words.lines().take(10).map(str::to_owned).collect();
        Err(error)
    }
}

impl process::Host for State {
    async fn run(
        &mut self,
        command: Command,
        stdin: Option<Vec<u8>>,
    ) -> EngineResult<Result<process::Output, Error>> {
        let (granted, call) = split(self.permit(&command));
        let checked = host_call("run", line(&command), limit(&command));
        let output = self.call(checked, granted, async { spawn::run(&call?, stdin).await }).await;
        Ok(output.map(|output| self.answered(output)))
    }

    async fn pipe(
        &mut self,
        commands: Vec<Command>,
    ) -> EngineResult<Result<process::Output, Error>> {
        if commands.is_empty() || commands.len() > MAX_PIPED {
            let message = format!("a pipe takes 1 to {MAX_PIPED} commands, not {}", commands.len());
            return Ok(Err(Error::new(ErrorKind::InvalidInput, "todohost.process.pipe", message)));
        }
        let permitted: Result<Vec<PermittedCommand>, Error> =
            commands.iter().map(|command| self.permit(command)).collect();
        let granted = match &permitted {
            Err(error) if error.kind == ErrorKind::Denied => Err(error.clone()),
            _ => Ok(()),
        };
        let detail = commands.iter().map(line).collect::<Vec<_>>().join(" | ");
        let deadline = commands.iter().map(limit).max().unwrap_or(DEFAULT_TIMEOUT);
        let output = self
            .call(host_call("pipe", detail, deadline), granted, async {
                spawn::pipe(&permitted?).await
            })
            .await;
        Ok(output.map(|output| self.answered(output)))
    }

    async fn distribute(
        &mut self,
        source: Command,
        sinks: Vec<process::Sink>,
    ) -> EngineResult<Result<process::Distributed, Error>> {
        if sinks.is_empty() || sinks.len() > MAX_SINKS {
            let message = format!("distribute takes 1 to {MAX_SINKS} sinks, not {}", sinks.len());
            return Ok(Err(Error::new(ErrorKind::InvalidInput, "todohost.process.pipe", message)));
        }
        let into = sinks.iter().map(|sink| line(&sink.command)).collect::<Vec<_>>().join(" & ");
        let detail = format!("{} | {into}", line(&source));
        let commands = sinks.iter().map(|sink| &sink.command).chain([&source]);
        let deadline = commands.map(limit).max().unwrap_or(DEFAULT_TIMEOUT);
        let permitted = self.permit(&source).and_then(|source| {
            let sinks = sinks.into_iter().map(|sink| {
                let call = self.permit(&sink.command)?;
                Ok(Sink { call, without: sink.without.into_iter().collect() })
            });
            Ok((source, sinks.collect::<Result<Vec<_>, Error>>()?))
        });
        let granted = match &permitted {
            Err(error) if error.kind == ErrorKind::Denied => Err(error.clone()),
            _ => Ok(()),
        };
        let passed = self.call(host_call("distribute", detail, deadline), granted, async {
            let (source, sinks) = permitted?;
            distribute::distribute(&source, &sinks).await
        });
        Ok(passed.await.map(|(source, fed)| process::Distributed {
            source: self.answered(source),
            sinks: fed
                .into_iter()
                .map(|SinkOutput { output, bytes }| process::Fed {
                    output: self.answered(output),
                    bytes,
                })
                .collect(),
        }))
    }

    async fn version(&mut self, program: String) -> EngineResult<Result<Option<String>, Error>> {
        let permitted = self.scope.program(&program).map(<[String]>::to_vec);
        let granted = permitted.as_ref().map(|_| ()).map_err(Clone::clone);
        let variables = permitted.map(|names| self.variables(&names)).unwrap_or_default();
        let environment = Arc::clone(&self.context.environment);
        let version = self
            .call(host_call("version", program.clone(), VERSION_TIMEOUT), granted, async {
                let Ok(found) = spawn::find(&program, &environment.variables) else {
                    return Ok(None);
                };
                let call = PermittedCommand {
                    program: found,
                    args: vec!["--version".to_owned()],
                    variables,
                    directory: environment.project_root.clone(),
                };
                let output = spawn::run(&call, None).await?;
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                Ok(Some(text.lines().next().unwrap_or_default().trim().to_owned()))
            })
            .await;
        Ok(version)
    }
}

impl process::HostChild for State {
    async fn spawn(
        &mut self,
        command: Command,
    ) -> EngineResult<Result<Resource<ChildLines>, Error>> {
        let (granted, call) = split(self.permit(&command));
        let checked = host_call("spawn", line(&command), limit(&command));
        let child =
            self.call(checked, granted, async { ChildLines::spawn(&call?, limit(&command)) }).await;
        Ok(match child {
            Ok(child) => Ok(self.table.push(child)?),
            Err(error) => Err(error),
        })
    }

    async fn next_line(
        &mut self,
        child: Resource<ChildLines>,
    ) -> EngineResult<Result<Option<(process::Source, String)>, Error>> {
        let next = self.table.get_mut(&child)?.next_line().await;
        let vault = &self.context.environment.vault;
        Ok(next.map(|next| next.map(|(source, line)| (source, vault.redact(&line)))))
    }

    async fn kill(&mut self, child: Resource<ChildLines>) -> EngineResult<()> {
        self.table.get_mut(&child)?.kill();
        Ok(())
    }

    async fn wait(
        &mut self,
        child: Resource<ChildLines>,
    ) -> EngineResult<Result<Option<i32>, Error>> {
        Ok(self.table.get_mut(&child)?.wait().await)
    }

    async fn drop(&mut self, child: Resource<ChildLines>) -> EngineResult<()> {
        self.table.delete(child)?;
        Ok(())
    }
}
