//! The plan's Deployment Validation Checklist on a real cluster, line by line and in its order.
//!
//! Each line is printed with its evidence; the first line that does not hold fails the test. Images are built and the
//! chart is linted with the commands in the lines. todohost takes the steps that the plan took with `helm` and a
//! script, and upstream's Helm reads the result.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;
use todohost_testkit::Finished;
use todohost_tests::helm::Helm;
use todohost_tests::real::{Real, todo_project};

use super::web::Visitor;

/// The lines of the plan, verbatim.
const LINES: [&str; 10] = [
    "`docker build ./backend` succeeds",
    "`docker build ./frontend` succeeds",
    "`helm lint ./helm/todo-app` passes",
    "`helm install` creates pods",
    "Backend pod reaches Ready state",
    "Frontend pod reaches Ready state",
    "Application accessible via port-forward",
    "Health endpoints respond",
    "`helm upgrade` performs rolling update",
    "`helm rollback` restores previous version",
];
const NAMESPACE: &str = "todo-checklist";
/// The plan's goals: the most bytes of each image, and the seconds until a pod is ready.
const LARGEST: [(&str, u64); 2] = [("backend", 500_000_000), ("frontend", 300_000_000)];
const SLOWEST: i64 = 60;

/// The lines that are not printed yet.
struct Checklist(std::vec::IntoIter<&'static str>);

impl Checklist {
    /// Prints the next line as passed, with its evidence.
    fn holds(&mut self, evidence: &str) {
        let line = self.0.next().unwrap();
        print(&format!("- [x] {line}: {evidence}"));
    }
}

impl Drop for Checklist {
    fn drop(&mut self) {
        for line in self.0.by_ref() {
            print(&format!("- [ ] {line}"));
        }
    }
}

#[expect(clippy::print_stdout, reason = "the lines are the purpose of this test")]
fn print(line: &str) {
    println!("{line}");
}

#[test]
fn the_deployment_validation_checklist() {
    let project = todo_project();
    let namespace = format!("namespace = \"{NAMESPACE}\"");
    project.replace("todohost.toml", "namespace = \"todo-app\"", &namespace);
    let real = Real::new(project, NAMESPACE);
    let mut checklist = Checklist(LINES.to_vec().into_iter());

    for (name, largest) in LARGEST {
        checklist.holds(&docker_build(&real, name, largest));
    }
    let helm = Helm::four();
    let linted = helm.ok(&real, "lint --strict ./helm/todo-app");
    let linted = linted.lines().rfind(|line| !line.trim().is_empty()).unwrap().to_owned();
    assert!(linted.contains("0 chart(s) failed"), "{linted}");
    checklist.holds(&linted);

    let began = Instant::now();
    let installed = todohost(&real, "deploy");
    let (backend, frontend) = (the_pod(&real, "backend"), the_pod(&real, "frontend"));
    assert_eq!(helm_history(&helm, &real), ["1 deployed"], "{}", installed.output());
    let pods = format!("{} and {}", name_of(&backend), name_of(&frontend));
    checklist.holds(&format!("revision 1 in {:.1} s, pods {pods}", began.elapsed().as_secs_f64()));
    checklist.holds(&readiness(&backend));
    checklist.holds(&readiness(&frontend));

    let forward = Forward::to(&real, "todo-app-frontend", 3000);
    let visitor = Visitor::new(&forward.address, real.project.folder());
    let email = format!("ada-checklist-{}@example.com", std::process::id());
    let person = [("email", email.as_str()), ("password", "correct horse battery")];
    visitor.submit("/register", "password", &person);
    visitor.submit("/", "title", &[("title", "carry water")]);
    assert!(visitor.page("/").contains("carry water"));
    let page = get(&forward, "/login");
    assert!(page.body.contains("<form"), "{}", page.body);
    checklist.holds(&format!("{page}; registered and added a todo, which the list shows"));

    let backend_forward = Forward::to(&real, "todo-app-backend", 8000);
    let answers = [
        get(&forward, "/api/health"),
        get(&backend_forward, "/health/live"),
        get(&backend_forward, "/health/ready"),
    ];
    checklist.holds(&answers.map(|answer| format!("{answer} {}", answer.body.trim())).join(", "));
    drop(backend_forward);

    let first_image = image(&backend);
    real.project.append("backend/src/todo/health.py", "\n# changed by a test\n");
    let (upgraded, asked) = used_meanwhile(&visitor, || todohost(&real, "deploy"));
    let second = the_pod(&real, "backend");
    assert_eq!(helm_history(&helm, &real), ["1 superseded", "2 deployed"], "{}", upgraded.output());
    assert_ne!(name_of(&second), name_of(&backend), "{}", upgraded.output());
    assert_ne!(image(&second), first_image);
    assert_eq!(name_of(&the_pod(&real, "frontend")), name_of(&frontend));
    checklist.holds(&format!(
        "revision 2, {} of {first_image} became {} of {}, {} stayed, the list was there all {asked} times that it was \
         asked for meanwhile",
        name_of(&backend),
        name_of(&second),
        image(&second),
        name_of(&frontend),
    ));

    let rolled_back = todohost(&real, "rollback");
    let third = the_pod(&real, "backend");
    assert_eq!(
        helm_history(&helm, &real),
        ["1 superseded", "2 superseded", "3 deployed"],
        "{}",
        rolled_back.output()
    );
    assert_ne!(name_of(&third), name_of(&second));
    assert_eq!(image(&third), first_image, "{}", rolled_back.output());
    assert!(visitor.page("/").contains("carry water"));
    checklist.holds(&format!(
        "revision 3, {} is of {first_image} again, and the list has its todo",
        name_of(&third)
    ));
}

/// Runs a command of todohost, with secrets for `deploy`.
fn todohost(real: &Real, command: &str) -> Finished {
    let mut host = real.host().args([command, "--target", real.target()]);
    if command == "deploy" {
        host = host
            .args(["--secret", "secrets.databaseUrl=env:DATABASE_URL"])
            .args(["--secret", "secrets.jwtSecret=env:JWT_SECRET"])
            // Another node port than that of an already deployed app.
            .args(["--set", "frontend.service.nodePort=30919"])
            .variable("DATABASE_URL", todohost_tests::variable("DATABASE_URL").unwrap())
            .variable("JWT_SECRET", "signs-the-log-ins-of-the-checklist-and-no-other");
    }
    host.run().expect_code(0)
}

/// Builds an image with the plan's command; returns the engine's facts about the image.
fn docker_build(real: &Real, name: &str, largest: u64) -> String {
    let docker = |args: &[&str]| {
        let mut command = Command::new("docker");
        command.args(args).current_dir(real.project.root()).output().unwrap()
    };
    let tag = format!("todo-checklist-{name}");
    let began = Instant::now();
    let built = docker(&["build", "--quiet", "--tag", &tag, &format!("./{name}")]);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let seconds = began.elapsed().as_secs_f64();
    let inspected = docker(&["image", "inspect", &tag]);
    // The deploy's images have other names but share the layers.
    docker(&["image", "rm", &tag]);
    let facts: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    let (size, config) = (facts[0]["Size"].as_u64().unwrap(), &facts[0]["Config"]);
    assert!(size < largest, "{name} has {size} bytes, more than {largest}");
    let ports: Vec<&String> = config["ExposedPorts"].as_object().unwrap().keys().collect();
    format!(
        "{}, {} MB of at most {}, user {}, port {}, {seconds:.1} s",
        &facts[0]["Id"].as_str().unwrap()[..19],
        size / 1_000_000,
        largest / 1_000_000,
        config["User"].as_str().unwrap(),
        ports[0],
    )
}

/// The revisions that upstream's Helm lists.
fn helm_history(helm: &Helm, real: &Real) -> Vec<String> {
    let history = helm.json(real, "history todo-app");
    let revisions = history.as_array().unwrap().iter();
    let words = |revision: &Value| {
        format!("{} {}", revision["revision"], revision["status"].as_str().unwrap_or_default())
    };
    revisions.map(words).collect()
}

/// The only pod of a part of the app.
fn the_pod(real: &Real, part: &str) -> Value {
    let names = real.pods(part);
    assert_eq!(names.len(), 1, "{names:?}");
    real.object("pod", &names[0])
}

fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

fn image(pod: &Value) -> &str {
    pod["spec"]["containers"][0]["image"].as_str().unwrap()
}

/// Asserts that a pod became ready in time and without a restart.
fn readiness(pod: &Value) -> String {
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready").unwrap();
    assert_eq!(ready["status"], "True", "{pod:#}");
    let time = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap().as_second();
    let seconds = time(&ready["lastTransitionTime"]) - time(&pod["metadata"]["creationTimestamp"]);
    assert!(seconds <= SLOWEST, "{} was ready after {seconds} s", name_of(pod));
    let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
    assert_eq!(*restarts, 0, "{pod:#}");
    format!("{} Ready {seconds} s after it was created, restarts: {restarts}", name_of(pod))
}

/// Runs `work` while a visitor loads the list again and again; returns the number of loads.
fn used_meanwhile<T>(visitor: &Visitor, work: impl FnOnce() -> T) -> (T, usize) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let mut asked = 0;
            while !is_over.load(Ordering::Relaxed) {
                let page =
                    visitor.look("/").unwrap_or_else(|error| panic!("look {asked}: {error}"));
                assert!(page.contains("carry water"), "look {asked}: {page}");
                asked += 1;
            }
            asked
        });
        let done = work();
        is_over.store(true, Ordering::Relaxed);
        (done, looks.join().unwrap())
    })
}

/// A running `kubectl port-forward`.
struct Forward {
    process: Child,
    address: String,
}

impl Forward {
    /// Forwards any free port of this machine to a port of a Service, once the Service exists.
    fn to(real: &Real, service: &str, port: u16) -> Self {
        let mut process = Command::new("kubectl")
            .args(["--context", real.context(), "--namespace", real.namespace()])
            .args(["port-forward", &format!("svc/{service}"), &format!(":{port}")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        // kubectl prints a line for each connection and ends if its output is closed.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let place = line.strip_prefix("Forwarding from ").and_then(|rest| rest.split(' ').next());
        let address = format!("http://{}", place.unwrap());
        Self { process, address }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The response for a path.
struct Answer {
    path: String,
    status: u16,
    body: String,
}

/// `/health/live 200`
impl std::fmt::Display for Answer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.path, self.status)
    }
}

/// Requests a path, which must answer 200.
fn get(forward: &Forward, path: &str) -> Answer {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--write-out", "\n%{http_code}"])
        .arg(format!("{}{path}", forward.address))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let (body, status) = text.rsplit_once('\n').unwrap();
    assert_eq!(status, "200", "{path}: {body}{}", String::from_utf8_lossy(&output.stderr));
    Answer { path: path.to_owned(), status: 200, body: body.to_owned() }
}
