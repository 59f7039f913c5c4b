//! The repository's files as the tidy test reads them.

use std::fs;
use std::path::Path;

/// Files of these kinds are read.
const KINDS: [&str; 9] = [
    "rs", "toml", "md", "ron", "lua", "sh", "service", "yml", "run",
];

/// A file, and what of it is code.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its path from the root of the repository.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
    /// The same with comments and literals blanked, line for line.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: blank(text),
        }
    }
}

/// All files of the repository that people write.
pub(crate) fn repository() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    walk(root, root, &mut sources);
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn walk(root: &Path, directory: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // A build directory, wherever it lies and whatever it is called, carries this mark.
        let is_built = path.join("CACHEDIR.TAG").exists();
        let is_hidden = name.starts_with('.') && name != ".ci" && name != ".github";
        let is_passing = directory == root && matches!(name.as_str(), "target" | "run");
        if is_built || is_hidden || is_passing || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, sources);
            continue;
        }
        let kind = name.rsplit('.').next().unwrap_or_default();
        if KINDS.contains(&kind) {
            let text = fs::read_to_string(&path).unwrap();
            let below = path.strip_prefix(root).unwrap().to_string_lossy();
            sources.push(Source::new(&below, &text));
        }
    }
}

/// A module that exists in tests only.
struct TestModule<'a> {
    /// Where its attributes begin.
    at: usize,
    name: &'a str,
    /// Does it stand here, in braces?
    inline: bool,
    /// The file that a `path` attribute names.
    path: Option<&'a str>,
}

fn test_modules(text: &str) -> impl Iterator<Item = TestModule<'_>> {
    const MARK: &str = "#[cfg(test)]\n";
    text.match_indices(MARK).filter_map(move |(at, _)| {
        let mut path = None;
        for line in text[at + MARK.len()..].lines().map(str::trim) {
            if line.starts_with("#[") {
                let quoted = line.strip_prefix("#[path = \"");
                path = path.or_else(|| quoted?.strip_suffix("\"]"));
                continue;
            }
            let (_, name) = line
                .split_once("mod ")
                .filter(|(before, _)| before.is_empty() || before.starts_with("pub"))?;
            let inline = name.contains('{');
            let name = ident(name);
            return Some(TestModule {
                at,
                name,
                inline,
                path,
            });
        }
        None
    })
}

/// Code without the unit tests at its end.
pub(crate) fn without_tests(code: &str) -> &str {
    test_modules(code)
        .find(|module| module.inline)
        .map_or(code, |module| &code[..module.at])
}

/// The files that hold nothing but unit tests, since a parent declares them so.
pub(crate) fn unit_test_files(sources: &[Source]) -> Vec<String> {
    let mut files = Vec::new();
    for source in sources.iter().filter(|source| source.path.ends_with(".rs")) {
        let (directory, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
        let below = match file {
            "mod.rs" | "lib.rs" | "main.rs" => directory.to_owned(),
            _ => source.path.trim_end_matches(".rs").to_owned(),
        };
        for module in test_modules(&source.text).filter(|module| !module.inline) {
            match module.path {
                Some(path) => files.push(format!("{directory}/{path}")),
                None => {
                    files.push(format!("{below}/{}.rs", module.name));
                    files.push(format!("{below}/{}/mod.rs", module.name));
                }
            }
        }
    }
    files
}

/// What stands directly behind `prefix`, also where several things share it in braces.
pub(crate) fn idents<'a>(code: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(prefix).flat_map(move |(at, _)| {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => members(group),
            None => vec![ident(rest)],
        }
    })
}

/// The first identifier of each member of a group, up to its closing brace.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut found, mut start) = (0, Vec::new(), 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(ident(&group[start..]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(ident(&group[start..]));
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

fn ident(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    &text[..end.unwrap_or(text.len())]
}

/// Blanks comments and literals; lines stay where they are.
fn blank(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = skip(&characters, at);
        if end == at {
            code.push(characters[at]);
            at += 1;
            continue;
        }
        let blanked = &characters[at..end];
        code.extend(blanked.iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    code
}

/// Where the comment or literal that begins here ends; the same place if none does.
fn skip(text: &[char], at: usize) -> usize {
    let is = |index: usize, wanted: char| text.get(index) == Some(&wanted);
    let until = |start: usize, end: &dyn Fn(usize) -> Option<usize>| {
        (start..text.len()).find_map(end).unwrap_or(text.len())
    };
    let in_word = at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_');
    match text[at] {
        '/' if is(at + 1, '/') => until(at, &|i| is(i, '\n').then_some(i)),
        '/' if is(at + 1, '*') => {
            until(at + 2, &|i| (is(i, '*') && is(i + 1, '/')).then_some(i + 2))
        }
        '"' => quoted(text, at, '"'),
        '\'' if is(at + 1, '\\') || is(at + 2, '\'') => quoted(text, at, '\''),
        'r' if !in_word || is(at.wrapping_sub(1), 'b') => {
            let hashes = text[at + 1..].iter().take_while(|c| **c == '#').count();
            if !is(at + 1 + hashes, '"') {
                return at;
            }
            until(at + 2 + hashes, &|i| {
                let closed = is(i, '"') && (1..=hashes).all(|n| is(i + n, '#'));
                closed.then_some(i + 1 + hashes)
            })
        }
        _ => at,
    }
}

/// Where a literal in these quotes ends.
fn quoted(text: &[char], start: usize, quote: char) -> usize {
    let mut at = start + 1;
    while at < text.len() && text[at] != quote {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    text.len().min(at + 1)
}

#[test]
fn comments_and_literals_are_blanked_and_lines_stay() {
    for (text, code) in [
        ("a // b\nc", "a     \nc"),
        ("a /* b\n */ c", "a     \n    c"),
        (
            r#"a("b\"//", 'c', '\'', '"') d"#,
            "a(       ,    ,     ,    ) d",
        ),
        ("fn a<'b>(c: &'b str)", "fn a<'b>(c: &'b str)"),
        ("a = r#\"b\"c\"#; d", "a =         ; d"),
        ("br\"c\" + for\"d\"", "b     + for   "),
    ] {
        assert_eq!(blank(text), code);
    }
}

#[test]
fn names_behind_a_prefix_are_found_in_groups_too() {
    let found: Vec<&str> = idents("use x::{a, b::{c, d}, e};\nx::f(x::G)", "x::").collect();
    assert_eq!(found, ["a", "b", "e", "f", "G"]);
}
