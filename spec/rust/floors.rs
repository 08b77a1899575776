//! The rules of the house that a machine can check, over every file of src/.
//!
//! Not here: what needs judgement, and what rustfmt, clippy and luacheck check. Each rule has a
//! test in which it finds a violation: a checker that cannot fail shows nothing.
#![allow(clippy::unwrap_used)]

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use source::{Piece, has_extension, is_word, mask_lua, mask_rust, pieces, sources, without_tests};

const FILE_CAP: usize = 700;
const FUNCTION_CAP: usize = 60;
const LIB_CAP: usize = 120;

/// The modules of a floor may import those of their own floor and of lower ones.
const FLOORS: &[(&str, u8)] = &[
    ("digest", 0),
    ("errno", 0),
    ("error", 0),
    ("limits", 0),
    ("quote", 0),
    ("sync", 0),
    ("address", 1),
    ("sys", 1),
    ("proto", 2),
    ("tls", 2),
    ("net", 3),
    ("reactor", 4),
    ("lua", 5),
];
/// Not allowed although lower.
const FORBIDDEN: &[(&str, &str)] = &[("proto", "sys"), ("tls", "sys"), ("lua", "sys")];
/// Who alone may name a crate.
const CRATES: &[(&str, &str)] = &[("mlua", "lua"), ("rustls", "tls")];
/// Who may look at `io.stderr`: the one line that tells of a failure which nobody hears.
const STDERR_FILES: &[&str] = &["lua/run/stderr.lua"];
/// The folders that are one module: their files may import each other in a circle, no others.
const ONE_MODULE: &[&str] = &["net/udp/", "net/stream/", "sys/names/"];
const UNSAFE_FLOORS: &[&str] = &["sys/", "lua/ffi/"];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rule {
    Crate,
    FileCap,
    Finaliser,
    Floor,
    FunctionCap,
    Heading,
    LibLogic,
    Output,
    Todo,
    Unsafe,
}

#[derive(Debug)]
struct Violation {
    rule: Rule,
    line: usize,
    what: String,
}

/// `path` is relative to src/, with slashes.
fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut report = |rule, line, what: String| found.push(Violation { rule, line, what });
    for (index, line) in text.lines().enumerate() {
        if line.contains(concat!("TO", "DO")) || line.contains(concat!("FIX", "ME")) {
            report(Rule::Todo, index + 1, "an issue, not a note in the code".into());
        }
    }
    let rust = has_extension(path, "rs");
    let heading = if rust { "//!" } else { "--" };
    if !text.starts_with(heading) {
        report(Rule::Heading, 1, format!("does not begin with {heading}"));
    }
    if rust {
        check_rust(path, text, &mut report);
    } else {
        check_lua(path, text, &mut report);
    }
    found
}

// Rust ------------------------------------------------------------------------------------------

fn check_rust(path: &str, text: &str, report: &mut impl FnMut(Rule, usize, String)) {
    let code = without_tests(&mask_rust(text));
    let pieces = pieces(&code);
    let floor = path.split(['/', '.']).next().unwrap_or_default();
    if path == "lib.rs" {
        if text.lines().count() > LIB_CAP || pieces.iter().any(|piece| piece.text == "fn") {
            report(Rule::LibLogic, 1, "lib.rs is a list of modules".into());
        }
    } else if !FLOORS.iter().any(|(name, _)| *name == floor) {
        report(Rule::Floor, 1, format!("'{floor}' is no floor"));
    }
    cap_file(&code, report);
    for piece in &pieces {
        let may = UNSAFE_FLOORS.iter().any(|prefix| path.starts_with(prefix));
        if !may && ["unsafe", "unsafe_code"].contains(&piece.text) && path != "lib.rs" {
            report(Rule::Unsafe, piece.line, "unsafe outside sys/ and lua/ffi/".into());
        }
        if let Some((name, home)) = CRATES.iter().find(|(name, _)| *name == piece.text)
            && floor != *home
        {
            report(Rule::Crate, piece.line, format!("only {home} names {name}"));
        }
    }
    for pair in pieces.windows(2) {
        let printing = ["dbg", "eprint", "eprintln", "print", "println"].contains(&pair[0].text);
        if printing && pair[1].text == "!" {
            report(Rule::Output, pair[0].line, format!("{}!", pair[0].text));
        }
    }
    for (line, module) in imports(path, &pieces) {
        check_import(floor, &module, line, report);
    }
    cap_rust_functions(&code, &pieces, report);
}

fn check_import(from: &str, to: &str, line: usize, report: &mut impl FnMut(Rule, usize, String)) {
    let level = |name| FLOORS.iter().find(|(known, _)| *known == name).map(|(_, level)| *level);
    // `lib.rs` stands outside the floors; a name that is no module is an item of the root.
    let (Some(mine), Some(other)) = (level(from), level(to)) else { return };
    if other > mine || FORBIDDEN.contains(&(from, to)) {
        report(Rule::Floor, line, format!("{from} imports {to}"));
    }
}

/// Top-level modules that are named: `crate::x`, `crate::{x, y}`, and `super` that reaches the root.
fn imports(path: &str, pieces: &[Piece]) -> Vec<(usize, String)> {
    let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let own_depth = parts.len() - usize::from(parts.last() == Some(&"mod"));
    let mut found = Vec::new();
    let mut inline = Vec::new();
    let mut at = 0;
    while at < pieces.len() {
        let text = pieces[at].text;
        match text {
            "{" => {
                let named = at >= 2 && pieces[at - 2].text == "mod";
                inline.push(named);
            }
            "}" => drop(inline.pop()),
            _ => {}
        }
        let depth = own_depth + inline.iter().filter(|is_module| **is_module).count();
        let (supers, after) = count_supers(pieces, at);
        let from_root = text == "crate" && !is_visibility(pieces, at);
        if from_root || (supers > 0 && supers >= depth) {
            roots(pieces, if from_root { at + 1 } else { after }, &mut found);
        }
        at = if supers > 0 { after } else { at + 1 };
    }
    found
}

/// `pub(crate)` names nothing.
fn is_visibility(pieces: &[Piece], at: usize) -> bool {
    at > 0 && pieces[at - 1].text == "(" && pieces.get(at + 1).is_some_and(|next| next.text == ")")
}

/// How many `super` in a row stand at `at`, and where the path goes on.
fn count_supers(pieces: &[Piece], at: usize) -> (usize, usize) {
    let (mut count, mut next) = (0, at);
    while pieces.get(next).is_some_and(|piece| piece.text == "super") {
        count += 1;
        next += 1;
        if pieces.get(next + 2).is_some_and(|piece| piece.text == "super") {
            next += 2;
        }
    }
    (count, next)
}

/// The first segments after `::` at `at`: one name, or those of a group.
fn roots(pieces: &[Piece], at: usize, found: &mut Vec<(usize, String)>) {
    let Some(first) = pieces.get(at + 2).filter(|_| pieces[at].text == ":") else { return };
    if first.text != "{" {
        found.push((first.line, first.text.into()));
        return;
    }
    let mut depth = 0;
    for window in pieces[at + 2..].windows(2) {
        match window[0].text {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
        if depth == 1 && ["{", ","].contains(&window[0].text) {
            found.push((window[1].line, window[1].text.into()));
        }
    }
}

fn cap_rust_functions(code: &str, pieces: &[Piece], report: &mut impl FnMut(Rule, usize, String)) {
    for (at, pair) in pieces.windows(2).enumerate() {
        if pair[0].text != "fn" || !is_word(pair[1].text) {
            continue;
        }
        let body = pieces[at..].iter().position(|piece| ["{", ";"].contains(&piece.text));
        let Some(body) = body.map(|offset| at + offset) else { continue };
        if pieces[body].text == "{"
            && let Some(end) = closing(pieces, body)
        {
            cap_function(code, pair[0].line, pieces[end].line, pair[1].text, report);
        }
    }
}

/// The `}` of the `{` at `open`.
fn closing(pieces: &[Piece], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (offset, piece) in pieces[open..].iter().enumerate() {
        match piece.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(open + offset);
        }
    }
    None
}

// Lua -------------------------------------------------------------------------------------------

fn check_lua(path: &str, text: &str, report: &mut impl FnMut(Rule, usize, String)) {
    let code = mask_lua(text, true);
    let pieces = pieces(&code);
    cap_file(&code, report);
    if path.starts_with("dialects/") {
        // Also as a string: `metatable["__gc"]`.
        for (index, line) in mask_lua(text, false).lines().enumerate() {
            if line.contains("__gc") {
                report(Rule::Finaliser, index + 1, "a dialect defines no __gc".into());
            }
        }
    }
    for (at, piece) in pieces.iter().enumerate() {
        let before = if at > 0 { pieces[at - 1].text } else { "" };
        let after = pieces.get(at + 1..at + 3).unwrap_or_default();
        let member = |name| after.len() == 2 && after[0].text == "." && after[1].text == name;
        let global = ![".", ":"].contains(&before);
        let output = piece.text == "print"
            || (piece.text == "io" && ["write", "stdout"].into_iter().any(member))
            || (piece.text == "io" && member("stderr") && !STDERR_FILES.contains(&path))
            || (piece.text == "os" && member("exit"));
        if global && output {
            report(Rule::Output, piece.line, format!("{} in the library", piece.text));
        }
    }
    cap_lua_functions(&code, &pieces, report);
}

fn cap_lua_functions(code: &str, pieces: &[Piece], report: &mut impl FnMut(Rule, usize, String)) {
    let mut open = Vec::new();
    for piece in pieces {
        match piece.text {
            // `while` and `for` are opened by their `do`, `elseif` is a word of its own.
            "function" | "if" | "do" | "repeat" => open.push((piece.text, piece.line)),
            "end" | "until" => {
                if let Some(("function", first)) = open.pop() {
                    cap_function(code, first, piece.line, "function", report);
                }
            }
            _ => {}
        }
    }
}

// Circles ---------------------------------------------------------------------------------------

type Imports = BTreeMap<String, BTreeSet<String>>;

/// Which Rust files of the tree each file imports. Of tests, nothing counts.
fn file_imports(tree: &[(String, String)]) -> Imports {
    let names: BTreeSet<&str> = tree.iter().map(|(path, _)| path.as_str()).collect();
    let mut found = Imports::new();
    for (path, text) in tree.iter().filter(|(path, _)| path != "lib.rs") {
        let code = without_tests(&mask_rust(text));
        let mut targets = BTreeSet::new();
        for named in named_paths(path, &pieces(&code)) {
            targets.extend(file_of(&named, &names).filter(|target| target != path));
        }
        found.insert(path.clone(), targets);
    }
    found
}

/// The modules from the root down to the file.
fn module_of(path: &str) -> Vec<String> {
    let stem = path.trim_end_matches(".rs");
    stem.trim_end_matches("/mod").split('/').map(String::from).collect()
}

/// The file of the innermost module that a path goes through.
fn file_of(named: &[String], known: &BTreeSet<&str>) -> Option<String> {
    (1..=named.len()).rev().find_map(|length| {
        let stem = named[..length].join("/");
        let files = [format!("{stem}.rs"), format!("{stem}/mod.rs")];
        files.into_iter().find(|file| known.contains(file.as_str()))
    })
}

/// Every path of the file that begins with `crate`, `super`, `self` or one of its own modules, from
/// the root on.
fn named_paths(path: &str, pieces: &[Piece]) -> Vec<Vec<String>> {
    let children: Vec<&str> = (pieces.windows(3))
        .filter(|window| window[0].text == "mod" && window[2].text == ";")
        .map(|window| window[1].text)
        .collect();
    let own = module_of(path);
    let (mut found, mut scopes) = (Vec::new(), Vec::new());
    for (at, piece) in pieces.iter().enumerate() {
        match piece.text {
            "{" if at >= 2 && pieces[at - 2].text == "mod" => {
                scopes.push(Some(pieces[at - 1].text));
            }
            "{" => scopes.push(None),
            "}" => drop(scopes.pop()),
            _ => {}
        }
        let goes_on = pieces.get(at + 1).is_some_and(|next| next.text == ":")
            && pieces.get(at + 2).is_some_and(|next| next.text == ":");
        let inside = at > 1 && pieces[at - 1].text == ":" && pieces[at - 2].text == ":";
        let visibility = at > 1 && pieces[at - 1].text == "in" && pieces[at - 2].text == "(";
        if !goes_on || inside || visibility {
            continue;
        }
        let mut prefix = own.clone();
        prefix.extend(scopes.iter().flatten().map(|name| String::from(*name)));
        match piece.text {
            "crate" => prefix.clear(),
            "super" => drop(prefix.pop()),
            "self" => {}
            name if children.contains(&name) => prefix.push(name.into()),
            _ => continue,
        }
        spread(pieces, at + 3, &prefix, &mut found);
    }
    found
}

/// Follows a path from the piece at `at`, into its groups; where it ends.
fn spread(pieces: &[Piece], at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let (mut at, mut named) = (at, prefix.to_vec());
    while let Some(piece) = pieces.get(at) {
        match piece.text {
            "{" => {
                at += 1;
                while let Some(next) = pieces.get(at).filter(|next| next.text != "}") {
                    at = match next.text {
                        "as" => at + 2,
                        "," => at + 1,
                        _ => spread(pieces, at, &named, found),
                    };
                }
                return at + 1;
            }
            "super" => drop(named.pop()),
            "self" => {}
            // Also a `*`.
            name => named.push(name.into()),
        }
        at += 1;
        let colons = pieces.get(at..at + 2).unwrap_or_default();
        if colons.len() < 2 || colons.iter().any(|colon| colon.text != ":") {
            break;
        }
        at += 2;
    }
    found.push(named);
    at
}

/// The circles: each the files that reach one another, with who imports whom among them.
fn circles(imports: &Imports) -> Vec<(Vec<String>, String)> {
    let reached = |from: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(file) = open.pop() {
            let next = imports.get(&file).into_iter().flatten();
            open.extend(next.filter(|target| seen.insert((*target).clone())).cloned());
        }
        seen
    };
    let all: BTreeMap<_, _> = imports.keys().map(|file| (file.as_str(), reached(file))).collect();
    let mut found: Vec<(Vec<String>, String)> = Vec::new();
    for (file, seen) in all.iter().filter(|(file, seen)| seen.contains(**file)) {
        if found.iter().any(|(files, _)| files.iter().any(|known| known == file)) {
            continue;
        }
        let back = |other: &&String| all.get(other.as_str()).is_some_and(|it| it.contains(*file));
        let files: Vec<String> = seen.iter().filter(back).cloned().collect();
        let lines = files.iter().map(|file| {
            let named = imports[file].iter().filter(|target| files.contains(target));
            format!("\n    {file} imports {}", join(named))
        });
        let text = lines.collect();
        found.push((files, text));
    }
    found
}

fn join<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The circles that are not within a folder which is one module.
fn forbidden_circles(
    tree: &[(String, String)],
    imports: &Imports,
    one_module: &[&str],
) -> Vec<String> {
    let has_mod = |folder: &str| tree.iter().any(|(path, _)| *path == format!("{folder}mod.rs"));
    let may = |files: &[String]| {
        one_module
            .iter()
            .any(|folder| has_mod(folder) && files.iter().all(|file| file.starts_with(folder)))
    };
    let found = circles(imports).into_iter();
    found.filter(|(files, _)| !may(files)).map(|(_, text)| text).collect()
}

// Both ------------------------------------------------------------------------------------------

fn code_lines<'a>(lines: impl Iterator<Item = &'a str>) -> usize {
    lines.filter(|line| !line.trim().is_empty()).count()
}

fn cap_file(code: &str, report: &mut impl FnMut(Rule, usize, String)) {
    let lines = code_lines(code.lines());
    if lines > FILE_CAP {
        report(Rule::FileCap, 1, format!("{lines} code lines, the cap is {FILE_CAP}"));
    }
}

fn cap_function(
    code: &str,
    first: usize,
    last: usize,
    name: &str,
    report: &mut impl FnMut(Rule, usize, String),
) {
    let lines = code_lines(code.lines().skip(first - 1).take(last + 1 - first));
    if lines > FUNCTION_CAP {
        report(Rule::FunctionCap, first, format!("{name}: {lines} lines, cap {FUNCTION_CAP}"));
    }
}

#[test]
fn every_file_of_the_library_keeps_the_rules() {
    let tree = sources();
    for extension in ["rs", "lua"] {
        assert!(tree.iter().any(|(path, _)| has_extension(path, extension)));
    }
    let mut messages = Vec::new();
    for (name, text) in &tree {
        for Violation { rule, line, what } in check(name, text) {
            messages.push(format!("src/{name}:{line}: {rule:?}: {what}"));
        }
    }
    messages.sort();
    assert!(messages.is_empty(), "{} violations:\n{}", messages.len(), messages.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut tree = sources();
    tree.retain(|(path, _)| has_extension(path, "rs"));
    let imports = file_imports(&tree);
    assert!(imports["net/hub.rs"].contains("error.rs"), "the imports were not found");
    let circles = forbidden_circles(&tree, &imports, ONE_MODULE);
    assert!(circles.is_empty(), "{} circles:\n{}", circles.len(), circles.join("\n"));
}

// The checker itself: each rule finds what it is for, at its line, and leaves the neighbours alone.

/// Floors whose number is another in the tour's table, or that it leaves out.
fn misnumbered(readme: &str) -> Vec<&'static str> {
    let is_on = |row: &str, name: &str, level: u8| {
        let cells: Vec<&str> = row.split(" | ").collect();
        let names =
            cells.get(1).map(|cell| cell.split('`').collect::<Vec<_>>()).unwrap_or_default();
        let folder = format!("{name}/");
        cells[0] == format!("| {level}")
            && names.iter().any(|word| *word == name || *word == folder)
    };
    let lacks = |(name, level): &(&str, u8)| !readme.lines().any(|row| is_on(row, name, *level));
    FLOORS.iter().filter(|floor| lacks(floor)).map(|(name, _)| *name).collect()
}

#[test]
fn the_tour_numbers_the_floors_as_they_are_checked() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/README.md");
    assert_eq!(misnumbered(&fs::read_to_string(readme).unwrap()), Vec::<&str>::new());
}

#[test]
fn finds_floors_with_another_number() {
    let row = |(name, level): &(&str, u8)| format!("| {level} | `{name}/` | what | not |\n");
    let table: String = FLOORS.iter().map(row).collect();
    assert!(misnumbered(&table).is_empty());
    assert_eq!(misnumbered(&table.replace("| 3 | `net/`", "| 2 | `net/`")), ["net"]);
}

fn rules(path: &str, body: &str) -> Vec<(Rule, usize)> {
    let heading = if has_extension(path, "rs") { "//! Text.\n" } else { "-- Text.\n" };
    let found = check(path, &format!("{heading}{body}\n"));
    found.iter().map(|violation| (violation.rule, violation.line)).collect()
}

#[track_caller]
fn finds(path: &str, body: &str, rule: Rule) {
    assert_eq!(rules(path, body), [(rule, 2)], "{path}: {body}");
}

#[track_caller]
fn allows(path: &str, body: &str) {
    assert_eq!(rules(path, body), [], "{path}: {body}");
}

#[test]
fn finds_unsafe_outside_its_floors() {
    for body in ["unsafe { f() }", "unsafe impl Send for X {}", "#![allow(unsafe_code)]"] {
        finds("net/stream.rs", body, Rule::Unsafe);
        finds("lua/native.rs", body, Rule::Unsafe);
        allows("sys/io.rs", body);
        allows("lua/ffi/stack.rs", body);
    }
    allows("net/stream.rs", "// unsafe\nlet text = \"unsafe\"; /* unsafe /* */ unsafe */");
    allows("net/stream.rs", "let text = r#\"\" unsafe \"#; let not_unsafe = 'u';");
}

#[test]
fn finds_imports_against_the_direction() {
    finds("sys/io.rs", "use crate::net::hub::Hub;", Rule::Floor);
    finds("error.rs", "use crate::sys::io;", Rule::Floor);
    finds("net/hub.rs", "fn f() { crate::reactor::go() }", Rule::Floor);
    finds("net/hub.rs", "use crate::{error::Error, reactor::Lead};", Rule::Floor);
    finds("reactor/lead.rs", "use super::super::lua::x;", Rule::Floor);
    finds("reactor/mod.rs", "use super::lua::x;", Rule::Floor);
    finds("net/a.rs", "mod b { use super::super::super::lua::x; }", Rule::Floor);
    assert_eq!(rules("misc.rs", "use std::fmt;"), [(Rule::Floor, 1)]);
    for (from, to) in FORBIDDEN {
        finds(&format!("{from}/a.rs"), &format!("use crate::{to}::b;"), Rule::Floor);
    }
}

#[test]
fn allows_imports_of_the_own_floor_and_lower_ones() {
    for body in ["use crate::net::a;", "use crate::sys::io;", "use super::hub::Hub;"] {
        allows("net/stream.rs", body);
    }
    allows("net/stream.rs", "use crate::error::{Error, lua};\npub(crate) fn f() {}");
    allows("proto/a.rs", "use crate::tls::b;\n// crate::sys::io\nmod c { use super::super::sys; }");
    allows("lua/a.rs", "use crate::reactor::b;");
}

#[test]
fn finds_crates_outside_their_floor() {
    finds("net/stream.rs", "use mlua::Lua;", Rule::Crate);
    finds("reactor/mod.rs", "fn f(lua: &mlua::Lua) {}", Rule::Crate);
    finds("lua/state.rs", "use rustls::X;", Rule::Crate);
    allows("lua/state.rs", "use mlua::Lua;");
    allows("net/stream.rs", "// mlua\nlet name = \"mlua\";");
}

#[test]
fn finds_long_files_and_functions() {
    let lines = |count: usize, line: &str| format!("{line}\n").repeat(count);
    let constants = |count| lines(count, "const A: u8 = 0; // why\n\n// why");
    assert_eq!(rules("net/a.rs", &constants(FILE_CAP + 1)), [(Rule::FileCap, 1)]);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}", constants(FILE_CAP));
    allows("net/a.rs", &format!("{}{tests}", constants(FILE_CAP)));
    let body = |count| format!("fn long<'a>(text: &'a str) {{\n{}}}", lines(count, "f('{');"));
    finds("net/a.rs", &body(FUNCTION_CAP - 1), Rule::FunctionCap);
    allows("net/a.rs", &body(FUNCTION_CAP - 2));

    let locals = |count| lines(count, "x = \"--\" --[[ why\n\n]]");
    for path in ["dialects/a.lua", "lua/a.lua"] {
        assert_eq!(rules(path, &locals(FILE_CAP + 1)), [(Rule::FileCap, 1)]);
        allows(path, &locals(FILE_CAP));
    }
    let body = |count| {
        let line = "for i = 1, 2 do if i then x = i elseif y then repeat until z end end";
        format!("local function long()\n{}end", lines(count, line))
    };
    finds("dialects/a.lua", &body(FUNCTION_CAP - 1), Rule::FunctionCap);
    allows("dialects/a.lua", &body(FUNCTION_CAP - 2));
}

#[test]
fn finds_missing_headings() {
    for (path, text) in [("net/a.rs", "use std::fmt;\n"), ("dialects/a.lua", "local a\n")] {
        let found = check(path, text);
        assert!(found.iter().any(|violation| violation.rule == Rule::Heading), "{path}");
    }
}

#[test]
fn finds_finalisers_of_dialects() {
    finds("dialects/a.lua", "local meta = { __gc = f }", Rule::Finaliser);
    finds("dialects/b/a.lua", "meta[\"__gc\"] = f", Rule::Finaliser);
    allows("dialects/a.lua", "-- never __gc");
    allows("lua/class/class.lua", "local meta = { __gc = f }");
}

#[test]
fn finds_output_and_notes() {
    for name in ["print", "println", "eprint", "eprintln", "dbg"] {
        finds("net/a.rs", &format!("fn f() {{ {name}!(\"\") }}"), Rule::Output);
    }
    for call in ["print(1)", "io.write(1)", "io.stderr:write(1)", "os.exit(1)"] {
        finds("dialects/a.lua", call, Rule::Output);
        allows("dialects/a.lua", &format!("-- {call}"));
    }
    allows("lua/run/stderr.lua", "local now = io.stderr");
    finds("lua/run/stderr.lua", "io.write(1)", Rule::Output);
    allows("dialects/a.lua", "sock:print(1) log.print(2) local x = \"print\"");
    finds("net/a.rs", concat!("// TO", "DO: later"), Rule::Todo);
    finds("dialects/a.lua", concat!("-- FIX", "ME"), Rule::Todo);
}

#[test]
fn finds_logic_in_the_list_of_modules() {
    assert_eq!(rules("lib.rs", "fn f() {}"), [(Rule::LibLogic, 1)]);
    assert_eq!(rules("lib.rs", &"\n".repeat(LIB_CAP)), [(Rule::LibLogic, 1)]);
    allows("lib.rs", "#![deny(unsafe_code)]\npub mod error;");
}

fn found_in(tree: &[(String, String)], one_module: &[&str]) -> Vec<String> {
    forbidden_circles(tree, &file_imports(tree), one_module)
}

fn made_up(tree: &[(&str, &str)]) -> Vec<(String, String)> {
    tree.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn finds_circles_of_imports() {
    let last = [
        "use crate::net::a;",
        "use crate::net::a::A;",
        "use super::a::{self, A};",
        "use crate::{error::Error, net::{hub, a::A}};",
        "fn f(a: &super::a::A) {}",
        "mod inner { use super::super::a::A; }",
    ];
    for text in last {
        let tree = made_up(&[
            ("net/a.rs", "use super::b::B;"),
            ("net/b.rs", "use super::c::{C, D as E};"),
            ("net/c.rs", text),
            ("net/d.rs", "use super::a::A;"),
            ("net/hub.rs", ""),
            ("net/mod.rs", "mod a; mod b; mod c; mod d; pub use d::D;"),
        ]);
        let found = found_in(&tree, &["tls/"]);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        for line in ["a.rs imports net/b.rs", "b.rs imports net/c.rs", "c.rs imports net/a.rs"] {
            assert!(found[0].contains(line), "{text}: {found:?}");
        }
        assert!(!found[0].contains("net/d.rs"), "{text}: {found:?}");
    }
    let through_the_folder = made_up(&[
        ("net/a.rs", "use super::Name;"),
        ("net/mod.rs", "mod a; mod b; pub use a::A; struct Name;"),
    ]);
    assert_eq!(found_in(&through_the_folder, &[]).len(), 1);
}

#[test]
fn allows_circles_within_one_module_alone() {
    let circle = [("net/x/a.rs", "use super::b::B;"), ("net/x/b.rs", "use super::a::A;")];
    let with = |more| made_up(&[circle[0], circle[1], more]);
    assert_eq!(found_in(&with(("net/x/mod.rs", "mod a; mod b;")), &["net/x/"]).len(), 0);
    assert_eq!(found_in(&with(("net/x/mod.rs", "mod a; mod b;")), &["net/y/"]).len(), 1);
    assert_eq!(found_in(&with(("net/x/c.rs", "")), &["net/x/"]).len(), 1);
    let outside = [("net/x/mod.rs", "use super::y::Y;"), ("net/y.rs", "use super::x::X;")];
    assert_eq!(found_in(&made_up(&outside), &["net/x/"]).len(), 1);
}

#[test]
fn allows_imports_without_a_circle() {
    let tree = made_up(&[
        ("net/a.rs", "use super::b::B; // super::d\nuse crate::error;"),
        (
            "net/b.rs",
            "pub(super) fn f() { \"super::a\" }\n#[cfg(test)]\nmod tests { use super::*; use crate::net::a::A; }",
        ),
        ("net/c.rs", "pub(in crate::net::d) fn f() {}"),
        ("net/d.rs", "use super::{a::A, b::B, c};"),
    ]);
    assert_eq!(found_in(&tree, &[]), [""; 0]);
}
