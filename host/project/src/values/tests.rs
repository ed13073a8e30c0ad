use serde_json::json;

use super::*;
use crate::Source;

struct Nobody;
impl Prompt for Nobody {
    fn ask(&self, _question: &str) -> Option<String> {
        None
    }
    fn variable(&self, name: &str) -> Option<String> {
        (name == "DB").then(|| "from-env".to_owned())
    }
}

fn project() -> Project {
    let text = "[app]\nname = \"a\"\nnamespace = \"a\"\nchart = \"c\"\n[secrets]\n\
                \"secrets.db\" = { required = true }\n\"secrets.key\" = {}\n";
    Project::read(Path::new(".").to_owned(), Source::new("todohost.toml", text)).unwrap()
}

fn gather(arguments: &[ValueArgument]) -> Result<Values, ValuesError> {
    Values::gather(&project(), arguments, Path::new("."), &Nobody)
}

fn set(text: &str) -> ValueArgument {
    ValueArgument::Set(text.to_owned())
}

#[test]
fn set_follows_the_grammar_of_helm() {
    let cases = [
        ("a=1", json!({"a": 1})),
        ("a.b=x,c=true,d=null", json!({"a": {"b": "x"}, "c": true, "d": null})),
        ("a={x,2,y z}", json!({"a": ["x", 2, "y z"]})),
        ("a={}", json!({"a": []})),
        ("a[1].b=x", json!({"a": [null, {"b": "x"}]})),
        ("a=x\\,y", json!({"a": "x,y"})),
        ("a\\.b=x", json!({"a.b": "x"})),
        ("a=0123,b=0", json!({"a": "0123", "b": 0})),
        ("a=b=c", json!({"a": "b=c"})),
        ("a=", json!({"a": ""})),
        ("a=1.5", json!({"a": "1.5"})),
    ];
    for (text, expected) in cases {
        let mut values = json!({});
        for Assignment { path, value } in Assignment::parse_typed(text).unwrap() {
            set_at(&mut values, &path, value);
        }
        assert_eq!(values, expected, "{text}");
    }
}

#[test]
fn an_error_about_set_names_the_flag_and_never_the_value() {
    for text in ["a", "", "=x", "a..b=hunter2", "a[=hunter2", "a={hunter2", "a=1,b", "a[x]=1"] {
        let error = gather(&[set(text)]).err().unwrap();
        assert_eq!(error.exit(), todohost_model::exit::Exit::Usage, "{text}");
        let message = error.to_string();
        assert!(message.starts_with("malformed --set "), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn a_printed_path_parses_to_the_same_path() {
    for text in ["a.b", "a[0].b", "a\\.b.c", "a[0][1]"] {
        let path = ValuePath::parse(text).unwrap();
        assert_eq!(ValuePath::parse(&path.to_string()), Some(path));
    }
}

#[test]
fn a_secret_is_taken_literally_and_kept_out_of_the_layers() {
    let values = gather(&[set("secrets.db=postgres://u:p,{x}=y@h/db"), set("a=1")]).unwrap();
    assert_eq!(values.secrets[0].1.expose(), "postgres://u:p,{x}=y@h/db");
    assert_eq!(values.set, ["a=1"]);
    assert!(!serde_json::to_string(&values.layers).unwrap().contains("postgres"));
    values.require_secrets(&project()).unwrap();
}

#[test]
fn a_secret_among_other_values_is_refused() {
    let misplaced = [
        set("a=1,secrets.db=x"),
        set("secrets=x"),
        set("secrets.db.sub=x"),
        ValueArgument::SetJson("secrets={\"db\":\"x\"}".into()),
        ValueArgument::SetFile("secrets.db=/etc/hostname".into()),
        set("secrets.db=a\\,b"),
        ValueArgument::Secret("secrets.db=hunter2".into()),
        ValueArgument::Secret("secrets.dbx=env:DB".into()),
        ValueArgument::Secret("secrets.db=env:NONE".into()),
        ValueArgument::Secret("secrets.db=prompt:".into()),
    ];
    for argument in misplaced {
        let error = gather(&[argument]).err().unwrap();
        assert_eq!(error.exit(), todohost_model::exit::Exit::Secret);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

#[test]
fn a_secret_in_a_values_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("values.yaml");
    fs_err::write(&file, "secrets:\n  db: hunter2\n").unwrap();
    let argument = ValueArgument::File(file.display().to_string());
    let error = gather(std::slice::from_ref(&argument)).err().unwrap();
    assert!(matches!(error, ValuesError::SecretInFile { .. }));
    fs_err::write(&file, "secrets:\n  db: ''\nmode: 0644\n").unwrap();
    assert_eq!(gather(&[argument]).unwrap().layers[0].values["mode"], json!(0o644));
}

#[test]
fn a_required_secret_must_have_a_value() {
    for arguments in [vec![], vec![set("secrets.db=")], vec![set("secrets.key=x")]] {
        let error = gather(&arguments).unwrap().require_secrets(&project()).unwrap_err();
        assert_eq!(error.to_string(), "secret secrets.db is required and has no value");
        assert_eq!(error.exit(), todohost_model::exit::Exit::Secret);
    }
    let env = gather(&[ValueArgument::Secret("secrets.db=env:DB".into())]).unwrap();
    assert_eq!(env.secrets[0].1.expose(), "from-env");
}

#[test]
fn layers_are_merged_and_null_removes_a_key() {
    let arguments = [set("a.x=2"), set("a.gone=null"), set("secrets.key=s")];
    let mut values = gather(&arguments).unwrap();
    let path = ValuePath::parse("image.tag").unwrap();
    values.set_own(&path, "v,1", "images.api");
    let defaults = json!({"a": {"x": 1, "y": 1, "gone": 1}});
    let effective = values.effective(&defaults, |_, _| Some("placeholder".to_owned()));
    assert_eq!(
        effective,
        json!({
            "a": {"x": 2, "y": 1}, "image": {"tag": "v,1"}, "secrets": {"key": "placeholder"}
        })
    );
    assert_eq!(values.set_string, ["image.tag=v\\,1"]);
    let read = Assignment::parse_strings(&values.set_string[0]).unwrap();
    assert_eq!(read[0].value, json!("v,1"));
}
