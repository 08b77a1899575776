//! The words of the house: the table "Words" in src/README.md is compared with the code.
//!
//! A word has one row and one meaning, its home file speaks of it in its heading, and the code uses
//! it. What a word was called before comes back nowhere. Each rule has a test in which it finds a
//! violation.
//! Not here: whether a word is a good one.
#![allow(clippy::unwrap_used)]

mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use source::{has_extension, is_word, mask_lua, mask_rust, pieces, sources, without_tests};

/// Words that no name in src/ has as a part any more, and what stands in their place.
const RETIRED: &[(&str, &str)] = &[
    ("callee", "receiver"),
    ("conclude", "on_resolved"),
    ("connect_plan", "target"),
    ("deaf", "closed"),
    ("dialing", "connect"),
    ("door", "connection_count"),
    ("eager", "always_on"),
    ("equip", "set_handlers"),
    ("farewell", "superseded_close"),
    ("fenced", "catch_panic"),
    ("gate", "guard"),
    ("glance", "poll_now or status"),
    ("goodbye", "close_notify"),
    ("greeter", "accepting_listener"),
    ("handover", "script_side"),
    ("house", "server_id"),
    ("lane", "connection"),
    ("lease", "line_batch"),
    ("leased", "has_batch"),
    ("lend", "pin"),
    ("lent", "pinned"),
    ("nap", "timed_park"),
    ("note_pump", "on_pump"),
    ("notes", "deferred"),
    ("owed", "close_due"),
    ("parcel", "send_queue"),
    ("shield", "cold_call"),
    ("take_given", "commit_batch"),
    ("tell_notice", "report_notice"),
    ("unbind", "unregister"),
    ("unshare", "make_fields_own"),
    ("vacancies", "messages"),
];
/// Names that nothing has any more: each is a word that other names may well contain.
const RETIRED_NAMES: &[(&str, &str)] = &[
    ("Desk", "Leader"),
    ("Lane", "Connection"),
    ("Life", "Connection"),
    ("Race", "HappyEyeballs"),
    ("Terms", "Facts"),
    ("View", "ScriptState"),
    ("answers", "messages"),
    ("arrivals", "messages"),
    ("shares", "shared_fields"),
];

/// A row of the table.
#[derive(Debug)]
struct Word {
    term: String,
    meaning: String,
    home: String,
}

/// The rows of the table in the section "Words".
fn table(readme: &str) -> Vec<Word> {
    let section = readme.split("\n## ").find(|section| section.starts_with("Words\n"));
    let lines = section.unwrap_or_default().lines().filter(|line| line.starts_with("| "));
    let rows = lines.skip(1).filter_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (term, meaning, home) = (cells.next()?, cells.next()?, cells.next()?);
        Some(Word {
            term: term.to_owned(),
            meaning: meaning.to_owned(),
            home: home.trim_matches('`').to_owned(),
        })
    });
    rows.collect()
}

/// The comment that a file begins with, in small letters, as words with a blank between them.
fn heading(path: &str, text: &str) -> String {
    let mark = if has_extension(path, "rs") { "//!" } else { "--" };
    let lines = text.lines().map_while(|line| line.strip_prefix(mark));
    let words = lines.flat_map(|line| line.split(|sign: char| !sign.is_alphanumeric()));
    let words: Vec<String> = words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    format!(" {} ", words.join(" "))
}

/// The words of a name, in small letters: `read_limit`, `ReadLimit` and `READ_LIMIT` have two.
fn parts(name: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut was_small = false;
    for sign in name.chars() {
        if sign == '_' || (sign.is_uppercase() && was_small) {
            found.push(String::new());
        }
        if sign != '_' {
            found.last_mut().unwrap().extend(sign.to_lowercase());
        }
        was_small = sign.is_lowercase() || sign.is_ascii_digit();
    }
    found.retain(|part| !part.is_empty());
    found
}

/// Whether the name has the words in a row; the last of them may be a plural.
fn has_words(name: &[String], words: &[String]) -> bool {
    let Some((last, rest)) = words.split_last() else { return false };
    name.windows(words.len()).any(|window| {
        let (final_part, before) = window.split_last().unwrap();
        before == rest && (final_part == last || plurals(last).contains(final_part))
    })
}

/// Every name in the code of the tree, outside of comments and strings.
fn names(tree: &[(String, String)]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // What editors are told are public names, which outlive words of the house.
    for (path, text) in tree.iter().filter(|(path, _)| !path.starts_with("meta/")) {
        // Names of tests are sentences.
        let code = if has_extension(path, "rs") {
            without_tests(&mask_rust(text))
        } else {
            mask_lua(text, true)
        };
        let words = pieces(&code).into_iter().filter(|piece| is_word(piece.text));
        found.extend(words.map(|piece| piece.text.to_owned()));
    }
    found
}

fn words_of(term: &str) -> Vec<String> {
    term.split(' ').map(str::to_lowercase).collect()
}

/// "marks", "classes", "properties".
fn plurals(term: &str) -> [String; 3] {
    let stem = term.strip_suffix('y').unwrap_or(term);
    [format!("{term}s"), format!("{term}es"), format!("{stem}ies")]
}

/// What is wrong with the table.
fn check_table(table: &[Word], tree: &[(String, String)], retired: &[(&str, &str)]) -> Vec<String> {
    let names: Vec<Vec<String>> = names(tree).iter().map(|name| parts(name)).collect();
    let mut problems = Vec::new();
    let mut known = BTreeSet::new();
    for Word { term, meaning, home } in table {
        let mut report = |what: &str| problems.push(format!("'{term}' {what}"));
        if !known.insert(term.to_lowercase()) {
            report("has two rows");
        }
        if meaning.is_empty() || meaning.contains(". ") {
            report("is not explained in one sentence");
        }
        match tree.iter().find(|(path, _)| path == home) {
            None => report(&format!("has no home: there is no {home}")),
            Some((path, text)) => {
                let heading = heading(path, text);
                let term = words_of(term).join(" ");
                let forms = plurals(&term).into_iter().chain([term]);
                if !forms.into_iter().any(|form| heading.contains(&format!(" {form} "))) {
                    report(&format!("is not in the heading of {home}"));
                }
            }
        }
        if !names.iter().any(|name| has_words(name, &words_of(term))) {
            report("is no name in the code");
        }
        if retired.iter().any(|(old, _)| old == term) {
            report("is retired");
        }
    }
    problems
}

/// The retired words that the code still has.
fn check_retired(
    tree: &[(String, String)],
    retired: &[(&str, &str)],
    retired_names: &[(&str, &str)],
) -> Vec<String> {
    let mut problems = Vec::new();
    for name in names(tree) {
        let parts = parts(&name);
        let words = retired.iter().filter(|(old, _)| {
            let old: Vec<String> = old.split('_').map(str::to_owned).collect();
            has_words(&parts, &old)
        });
        let whole = retired_names.iter().filter(|(old, _)| *old == name);
        for (old, instead) in words.chain(whole) {
            problems.push(format!("{name}: '{old}' is now {instead}"));
        }
    }
    problems
}

/// The files and folders that a text names between backquotes, with a slash: those that are not there.
fn check_paths(text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let is_path = |quoted: &&str| {
        let small = |sign: char| sign.is_ascii_lowercase() || "_./0123456789".contains(sign);
        quoted.contains('/') && !quoted.starts_with('/') && quoted.chars().all(small)
    };
    let lines = text.lines().filter(|line| !line.starts_with("    "));
    let quoted = lines.flat_map(|line| line.split('`').skip(1).step_by(2)).filter(is_path);
    quoted.filter(|path| !exists(path)).map(str::to_owned).collect()
}

#[test]
fn every_file_that_the_tour_names_is_there() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let readme = fs::read_to_string(source.join("README.md")).unwrap();
    // A folder, or a file with or without its extension.
    let exists = |path: &str| {
        let extensions = ["", ".rs", ".lua"];
        extensions.iter().any(|extension| source.join(format!("{path}{extension}")).exists())
    };
    let gone = check_paths(&readme, exists);
    assert!(gone.is_empty(), "src/README.md names what is not there: {gone:?}");
}

#[test]
fn the_words_of_the_house_are_those_of_the_code() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/README.md");
    let table = table(&fs::read_to_string(readme).unwrap());
    assert!(table.len() >= 40, "only {} words were found", table.len());
    let retired: Vec<_> = RETIRED.iter().chain(RETIRED_NAMES).copied().collect();
    let problems = check_table(&table, &sources(), &retired);
    assert!(problems.is_empty(), "src/README.md:\n{}", problems.join("\n"));
}

#[test]
fn retired_words_are_nowhere() {
    let problems = check_retired(&sources(), RETIRED, RETIRED_NAMES);
    assert!(problems.is_empty(), "{} names:\n{}", problems.len(), problems.join("\n"));
}

// The checker itself.

fn tree() -> Vec<(String, String)> {
    let files = [
        ("net/hub.rs", "//! The hub gives tokens.\nfn f() { let one_token = \"parcel\"; } // lane"),
        ("lua/task/wait.lua", "-- Waiters.\n--\n-- Not here: hubs.\nlocal Waiter = 1 -- desk"),
        ("meta/evsock.lua", "-- For editors.\nlocal farewell"),
    ];
    files.map(|(path, text)| (path.to_owned(), text.to_owned())).to_vec()
}

fn problems(rows: &str) -> Vec<String> {
    let readme =
        format!("# Tour\n\n## Words\n\n| word | meaning | home |\n|---|---|---|\n{rows}\n");
    check_table(&table(&readme), &tree(), &[("wait", "waiter")])
}

#[test]
fn a_table_that_is_right_has_no_problems() {
    let rows =
        "| token | A name. | `net/hub.rs` |\n| waiter | One that waits. | `lua/task/wait.lua` |";
    assert_eq!(problems(rows), [""; 0]);
    assert_eq!(table("## Words\n\n## Others\n\n| a | b | c |").len(), 0);
}

#[test]
fn finds_a_word_that_is_defined_twice() {
    let row = "| token | A name. | `net/hub.rs` |";
    assert_eq!(problems(&format!("{row}\n{row}")), ["'token' has two rows"]);
}

#[test]
fn finds_a_meaning_that_is_none() {
    let wanted = ["'token' is not explained in one sentence"];
    assert_eq!(problems("| token | | `net/hub.rs` |"), wanted);
    assert_eq!(problems("| token | A name. It is unique. | `net/hub.rs` |"), wanted);
}

#[test]
fn finds_a_home_that_is_none() {
    assert_eq!(
        problems("| token | A name. | `net/tokens.rs` |"),
        ["'token' has no home: there is no net/tokens.rs"]
    );
    assert_eq!(
        problems("| token | A name. | `lua/task/wait.lua` |"),
        ["'token' is not in the heading of lua/task/wait.lua"]
    );
}

#[test]
fn finds_a_word_that_the_code_has_not() {
    // It stands in the heading alone.
    assert_eq!(problems("| hub | It is one. | `net/hub.rs` |"), ["'hub' is no name in the code"]);
}

#[test]
fn finds_a_word_that_is_retired() {
    let found = problems("| wait | A pause. | `lua/task/wait.lua` |");
    assert!(found.contains(&"'wait' is retired".to_owned()), "{found:?}");
}

#[test]
fn finds_retired_words_in_names_alone() {
    let mut tree = tree();
    let retired = [("lane", "connection"), ("parcel", "send_queue"), ("farewell", "close")];
    assert_eq!(check_retired(&tree, &retired, &[("one", "first")]), [""; 0]);
    for text in ["fn next_lane() {}", "struct LaneList;", "const LANES: u8 = 0;"] {
        tree[0].1 = format!("//! Text.\n{text}");
        let found = check_retired(&tree, &retired, &[]);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].contains("'lane' is now connection"), "{found:?}");
    }
    tree[0].1 = "//! Text.\nlet one = planet();".into();
    assert_eq!(check_retired(&tree, &retired, &[("one", "first")]), ["one: 'one' is now first"]);
}

#[test]
fn a_name_has_its_words_however_it_is_written() {
    for name in ["read_limit", "ReadLimit", "READ_LIMIT", "readLimit"] {
        assert_eq!(parts(name), ["read", "limit"], "{name}");
    }
    let of = |name: &str| parts(name);
    assert!(has_words(&of("two_read_limits"), &words_of("read limit")));
    assert!(!has_words(&of("read_no_limit"), &words_of("read limit")));
}

#[test]
fn finds_files_that_are_not_there() {
    let text = "`net/hub.rs` and `net/hubs.rs`, `NAME/init.lua`, `/tmp/x`, `a.b`, net/none.rs";
    assert_eq!(check_paths(text, |path| path == "net/hub.rs"), ["net/hubs.rs"]);
}
