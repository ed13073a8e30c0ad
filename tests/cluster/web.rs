//! A browser without scripts for the Todo app: pages, forms, a cookie.
//!
//! Owns the parsing of forms in pages. `curl` sends the requests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A visitor of the app's address.
pub struct Visitor {
    address: String,
    cookies: PathBuf,
}

impl Visitor {
    /// A visitor without cookies.
    pub fn new(address: &str, folder: &Path) -> Self {
        let address = address.trim_end_matches('/').to_owned();
        Self { address, cookies: folder.join("cookies") }
    }

    /// A page, after waiting for its address to answer.
    pub fn page(&self, path: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match self.look(path) {
                Ok(page) => return page,
                Err(error) => {
                    assert!(Instant::now() < deadline, "{}{path}: {error}", self.address);
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
        }
    }

    /// A page, without waiting.
    ///
    /// # Errors
    /// The error of curl with the response.
    pub fn look(&self, path: &str) -> Result<String, String> {
        self.curl(path, &[])
    }

    /// Fills in the form with the field `known` on a page, sends it, and returns the response.
    /// Tries again for a while: between Services, a cluster's routes follow readiness by up to a second.
    pub fn submit(&self, path: &str, known: &str, fields: &[(&str, &str)]) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match self.try_submit(path, known, fields) {
                Ok(page) => return page,
                Err(error) => assert!(Instant::now() < deadline, "{}{path}: {error}", self.address),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn try_submit(
        &self,
        path: &str,
        known: &str,
        fields: &[(&str, &str)],
    ) -> Result<String, String> {
        let page = self.page(path);
        let form =
            form_with(&page, known).ok_or_else(|| format!("no form with {known}:\n{page}"))?;
        let mut args = Vec::new();
        for (name, value) in hidden_fields(form) {
            args.push(format!("{name}={value}"));
        }
        for (name, value) in fields {
            args.push(format!("{name}={value}"));
        }
        let answer = self.curl(path, &args)?;
        match answer.split("role=\"alert\"").nth(1).and_then(|rest| rest.split('<').next()) {
            Some(refusal) => Err(refusal.to_owned()),
            None => Ok(answer),
        }
    }

    fn curl(&self, path: &str, form: &[String]) -> Result<String, String> {
        let mut command = Command::new("curl");
        command
            .args([
                "--silent",
                "--show-error",
                "--fail-with-body",
                "--location",
                "--max-time",
                "20",
            ])
            .arg("--cookie")
            .arg(&self.cookies)
            .arg("--cookie-jar")
            .arg(&self.cookies);
        for field in form {
            command.arg("--form-string").arg(field);
        }
        let output = command.arg(format!("{}{path}", self.address)).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(text)
        } else {
            Err(format!("{}\n{text}", String::from_utf8_lossy(&output.stderr)))
        }
    }
}

fn form_with<'a>(page: &'a str, known: &str) -> Option<&'a str> {
    page.split("<form")
        .skip(1)
        .map(|rest| rest.split("</form>").next().unwrap_or(rest))
        .find(|form| form.contains(&format!("name=\"{known}\"")))
}

fn hidden_fields(form: &str) -> Vec<(String, String)> {
    form.split("<input")
        .skip(1)
        .filter_map(|rest| {
            let tag = rest.split('>').next()?;
            if !tag.contains("type=\"hidden\"") {
                return None;
            }
            let value = attribute(tag, "value").unwrap_or_default();
            Some((attribute(tag, "name")?, value))
        })
        .collect()
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let value = rest.split('"').next()?;
    let plain = value.replace("&quot;", "\"").replace("&#x27;", "'");
    Some(plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}
