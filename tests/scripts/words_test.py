"""Which words of a source file are prose, and which places break a rule."""

import subprocess
import tempfile
import unittest
from pathlib import Path, PurePath

from prose import WORD, pieces
from words import area_of, measured, places, read


class Prose(unittest.TestCase):
    def prose(self, name: str, text: str) -> str:
        found = pieces(PurePath(name), text)
        for piece in found:
            self.assertEqual(
                piece.text.count("\n"), text[piece.offset : piece.offset + len(piece.text)].count("\n"), name
            )
        return " ".join(word for piece in found for word in WORD.findall(piece.text))

    def test_rust_has_comments_sentences_and_test_names(self) -> None:
        text = """//! Module docs.
        /* outer /* inner */ still outer */
        #[test]
        #[ignore = "needs a cluster"]
        fn a_test_name() { say("two words", "word", 'c', '"', b'"', '\\''); }
        fn not_a_test<'a>(first: &'a str, second: &'a str) -> &'a str {} // trailing
        """
        found = "Module docs outer inner still outer needs a cluster two words trailing a test name"
        self.assertEqual(self.prose("a.rs", text), found)

    def test_rust_strings_hide_comments_and_comments_hide_strings(self) -> None:
        text = r"""let a = "no // comment /* here"; // it's "half a string
        let b = r#"raw "quoted" string // too"#; let c = "after \" that";
        let d = br"c:\"; /* after raw */ let e = r#type; let f = '\u{1F600}'; let g = "last one";
        """
        found = "no comment here it's half a string raw quoted string too after that after raw last one"
        self.assertEqual(self.prose("a.rs", text), found)

    def test_raw_strings_of_several_lines_are_not_prose(self) -> None:
        text = 'let yaml = r#"\nkind: what is this\n"#;\nlet text = "two \\\n    lines";'
        self.assertEqual(self.prose("a.rs", text), "two lines")

    def test_code_inside_prose_is_not_counted(self) -> None:
        text = "/// Calls `what who` of {what}, see [docs](https://what.example/who).\n/// ```\n/// tell me\n/// ```\n"
        self.assertEqual(self.prose("a.rs", text), "Calls of see docs")

    def test_markdown_has_no_blocks_of_code(self) -> None:
        page = (
            "# Title\n\nText `code`\n\n    indented code\n\n- item\n\n    of the list\n\n```sh\nrun\n```\n<!-- no -->\n"
        )
        self.assertEqual(self.prose("a.md", page), "Title Text item of the list")

    def test_python_has_docstrings_comments_and_test_names(self) -> None:
        text = '''"""Module docs\nof two lines."""
# A comment.
def test_a_name(self):
    page = """\nnot prose here\n"""
    print(f"a sentence {what + who}", "word")
'''
        self.assertEqual(self.prose("a.py", text), "Module docs of two lines test a name a sentence A comment")

    def test_scripts_without_a_suffix_are_known_by_their_first_line(self) -> None:
        shell = """#!/usr/bin/env bash
        # It's a comment.
        echo "a sentence" "${name#prefix}" $# 'word' "two
        lines"
        cat <<'END'
        not a sentence # here
        END
        """
        self.assertEqual(self.prose("run", shell), "It's a comment a sentence")
        self.assertEqual(self.prose("run", "#!/usr/bin/env python3\n# A comment.\n"), "A comment")
        self.assertEqual(self.prose("run", "some text"), "")

    def test_pages_have_their_visible_text(self) -> None:
        page = (
            "// it's a comment\nconst a = <p>Don't hide\n  this text <b>here it is</b></p>;\ntest('does a thing', x);"
        )
        found = "it's a comment does a thing Don't hide this text here it is"
        self.assertEqual(self.prose("a.tsx", page), found)

    def test_settings_and_interfaces_have_comments(self) -> None:
        self.assertEqual(self.prose("a.toml", 'a = "one two" # three\nb = "#no"\n'), "one two three")
        self.assertEqual(self.prose("a.wit", "/// Some docs.\nrecord r { f: u8 }\n"), "Some docs")
        self.assertEqual(self.prose("a.yaml", "# A comment.\nkey: some text\n"), "A comment")
        self.assertEqual(self.prose("a.go", '// Docs.\nvar a = "a b c"; var r = \'"\'; // more\n'), "Docs a b c more")


class Words(unittest.TestCase):
    def rules(self, text: str) -> list[str]:
        page = f"{text}\n"
        return [place.rule for place in places("a.md", page, pieces(PurePath("a.md"), page))]

    def test_each_pattern_is_found(self) -> None:
        self.assertEqual(self.rules("See what runs."), ["what"])
        self.assertEqual(self.rules("A pod whose image is gone, and whoever made it."), ["who"])
        self.assertEqual(self.rules("The user is told."), ["tell"])
        self.assertEqual(self.rules("That is\nno pod."), ["is-no"])
        self.assertEqual(self.rules("Where it fails, stop."), ["where"])
        self.assertEqual(self.rules("It restarts by itself."), ["by-itself"])
        self.assertEqual(self.rules("It stays as it is."), ["as-it-is"])
        self.assertEqual(self.rules("an address of the target's, if any"), ["double-of"])
        self.assertEqual(self.rules("Anybody may not."), ["nobody", "may-not"])

    def test_plain_sentences_pass(self) -> None:
        for text in (
            "What is it?",
            "Who owns it, and what for?",
            "It is no longer there.",
            "There is no pod with an owner whose name is free.",
            "No pod is no more than one.",
        ):
            self.assertEqual(self.rules(text), [], text)
        self.assertEqual(self.rules("of the target's address, as it is known"), [])

    def test_only_the_sentence_with_the_question_mark_is_a_question(self) -> None:
        self.assertEqual(self.rules("Is it there? See what runs."), ["what"])
        self.assertEqual(self.rules("See what runs.\n\nIs it there?"), ["what"])

    def test_a_place_names_its_line(self) -> None:
        source = "fn a() {}\n\n/// One line.\n/// See what runs.\nfn b() {}\n"
        (place,) = places("a.rs", source, pieces(PurePath("a.rs"), source))
        self.assertEqual((place.line, place.text), (4, "/// See what runs."))

    def test_doc_comments_that_repeat_a_name_are_found(self) -> None:
        source = """/// The file.
pub file: String,
/// The file to read.
pub file: String,
/// A longer text,
/// the file.
#[serde(default)]
pub file: String,
/// Its value.
#[serde(default)]
fn set_value() {}
/// Seconds.
pub timeout: u64,
"""
        self.assertEqual([place.line for place in places("a.rs", source, [])], [1, 9])

    def test_areas_are_folders_of_the_top_level_or_one_below(self) -> None:
        areas = [str(area_of(PurePath(path))) for path in ("a.md", "docs/a/b.md", "host/x/src/a.rs", "tests/a.rs")]
        self.assertEqual(areas, [".", "docs", "host/x", "tests"])


class Tree(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)
        for name, text in {
            "docs/good.md": "word " * 2000,
            "wit/bad.md": "See what runs. See what fails.",
            "docs/fixtures/theirs.md": "See what runs.",
            "untracked.md": "See what runs.",
        }.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        subprocess.run(["git", "init", "--quiet"], cwd=self.root, check=True)
        subprocess.run(["git", "add", "docs", "wit"], cwd=self.root, check=True)

    def test_an_area_over_its_limit_is_named_though_the_tree_is_under(self) -> None:
        table, over = measured(*read(self.root, []))
        self.assertRegex(table[-1], r"^all +2006 +2 +1\.0 ")
        self.assertEqual(len(over), 1)
        self.assertRegex(over[0], r"^wit: 2 of `what`, at most 1 .*words\.py --list what wit$")

    def test_a_tree_over_its_limit_is_named(self) -> None:
        (self.root / "docs/good.md").write_text("word " * 1000 + "See what runs.")
        _, over = measured(*read(self.root, []))
        self.assertTrue(any(line.startswith("all: 3 of `what`") for line in over))

    def test_a_part_of_the_tree_can_be_read_alone(self) -> None:
        words, found = read(self.root, ["docs"])
        self.assertEqual((dict(words), found), ({"docs": 2000}, []))


if __name__ == "__main__":
    unittest.main()
