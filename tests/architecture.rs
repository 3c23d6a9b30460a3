//! The drawing in docs/architecture.md as a test: which layer may import which, which crate may be named where, and
//! what the pure layers must never mention.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its own sources has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each layer with those that it may import. A layer may import only layers above its own line.
const LAYERS: [(&str, &[&str]); 12] = [
    ("wire", &[]),
    ("net", &[]),
    ("backplane", &["wire"]),
    ("chat", &["wire"]),
    ("lanes", &["wire"]),
    ("balance", &["wire"]),
    ("serve", &["wire", "net"]),
    ("app", &["wire", "net", "chat", "lanes", "balance", "serve"]),
    ("lb", &["wire", "net", "balance", "serve"]),
    ("web", &["wire", "net", "serve"]),
    ("up", &["net", "backplane", "serve", "app", "lb", "web"]),
    ("cli", &["wire", "net", "chat", "lanes", "balance", "serve", "app", "lb", "web", "backplane", "up"]),
];

/// Crates that have one home, with the layers that may name them.
const CRATES: [(&str, &[&str]); 15] = [
    ("mio", &["net", "serve", "app", "lb"]),
    ("socket2", &["net"]),
    ("rustix", &["net", "up"]),
    ("tungstenite", &["wire"]),
    ("redis", &["wire"]),
    ("hmac", &["wire"]),
    ("sha2", &["wire"]),
    ("httparse", &["wire"]),
    ("icu_properties", &["wire"]),
    ("crossbeam_channel", &["net", "app", "cli"]),
    ("slab", &["net", "chat"]),
    ("rust_embed", &["serve"]),
    ("prometheus_client", &["serve", "app", "lb", "web"]),
    ("clap", &["cli"]),
    ("signal_hook", &["cli"]),
];

/// Folders that hold only tests.
const TEST_FOLDERS: [&str; 2] = ["simulation", "cluster"];

/// Layers without sockets, clocks, threads or chance, and the words that would bring them in.
const PURE: [&str; 5] = ["wire", "chat", "lanes", "balance", "backplane"];
const IMPURE: [&str; 12] = [
    "Instant::now",
    "SystemTime",
    "std::net",
    "std::thread",
    "std::fs",
    "std::env",
    "fastrand",
    "RandomState",
    "Mutex",
    "log::",
    "println!",
    "Atomic",
];

/// Longest file of code, in lines without its tests.
const LINES_MAX: usize = 450;

struct Source {
    path: PathBuf,
    layer: String,
    /// Without comments and without the tests at the end.
    code: String,
}

#[test]
fn imports_go_down_the_drawing() {
    let allowed: BTreeMap<_, _> = LAYERS.into_iter().collect();
    let faults = sources()
        .into_iter()
        .filter(|source| source.layer != "main" && source.layer != "lib")
        .flat_map(|source| {
            let may = allowed
                .get(source.layer.as_str())
                .unwrap_or_else(|| panic!("{} is in no layer", source.path.display()));
            let names: Vec<_> = layers_named(&source.code)
                .into_iter()
                .filter(|name| *name != source.layer && !may.contains(&name.as_str()))
                .map(|name| format!("{}: {} must not import {name}", source.path.display(), source.layer))
                .collect();
            names
        });
    assert_none(faults);
}

#[test]
fn the_drawing_has_no_cycle() {
    for (index, (layer, may)) in LAYERS.iter().enumerate() {
        for import in *may {
            let at = LAYERS.iter().position(|(name, _)| name == import);
            assert!(at.is_some_and(|at| at < index), "{layer} imports {import}, which is not above it");
        }
    }
}

/// `mod.rs` puts a layer together from its files, which may use the words that it defines; among themselves the files
/// of a layer have an order.
#[test]
fn the_files_of_a_layer_have_no_cycle() {
    let mut imports: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources() {
        let (layer, file) = (&source.layer, source.path.file_stem().unwrap().to_str().unwrap());
        let siblings = |start: String| {
            let names = source.code.split(&start).skip(1).map(str::to_owned).collect::<Vec<_>>();
            names
                .into_iter()
                .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>())
        };
        let named = siblings("super::".into()).chain(siblings(format!("crate::{layer}::")));
        if file != "mod" {
            imports.insert(format!("{layer}/{file}"), named.map(|name| format!("{layer}/{name}")).collect());
        }
    }
    // What imports only files that are placed already is placed; what is left over goes round in circles.
    let mut placed = BTreeSet::new();
    loop {
        let is_placed = |name: &String| placed.contains(name) || !imports.contains_key(name);
        let next: Vec<_> = imports
            .iter()
            .filter(|(file, named)| {
                !placed.contains(*file) && named.iter().all(|name| name == *file || is_placed(name))
            })
            .map(|(file, _)| file.clone())
            .collect();
        if next.is_empty() {
            break;
        }
        placed.extend(next);
    }
    assert_none(
        imports
            .into_keys()
            .filter(|file| !placed.contains(file))
            .map(|file| format!("{file} is in a circle")),
    );
}

#[test]
fn each_crate_is_named_only_in_its_home() {
    let faults = sources().into_iter().flat_map(|source| {
        let strangers = CRATES.iter().filter(|(name, homes)| {
            !homes.contains(&source.layer.as_str()) && names_crate(&source.code, name)
        });
        strangers
            .map(|(name, _)| format!("{} must not name {name}", source.path.display()))
            .collect::<Vec<_>>()
    });
    assert_none(faults);
}

#[test]
fn the_pure_layers_are_pure() {
    let faults =
        sources().into_iter().filter(|source| PURE.contains(&source.layer.as_str())).flat_map(|source| {
            let words = IMPURE.iter().filter(|word| source.code.contains(**word));
            words.map(|word| format!("{} must not mention {word}", source.path.display())).collect::<Vec<_>>()
        });
    assert_none(faults);
}

/// `println!` panics where nobody reads, which has ended a cluster; what writes says what a failure
/// means.
#[test]
fn nothing_is_printed_by_what_panics() {
    let faults = [sources(), sources_in("loadgen/src")].into_iter().flatten().flat_map(|source| {
        let words = ["println!", "print!(", "eprint!("].into_iter().filter(|word| source.code.contains(word));
        words.map(|word| format!("{} has {word}", source.path.display())).collect::<Vec<_>>()
    });
    assert_none(faults);
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let faults = sources().into_iter().filter_map(|source| {
        let text = fs::read_to_string(&source.path).unwrap();
        let lines = source.code.lines().filter(|line| !line.trim().is_empty()).count();
        let path = source.path.display();
        if !text.starts_with("//!") {
            Some(format!("{path} has no first line that says what it is"))
        } else if lines > LINES_MAX {
            Some(format!("{path} has {lines} lines of code, more than {LINES_MAX}"))
        } else if source.code.contains("super::super::") {
            Some(format!("{path} climbs with super::super, which hides an import"))
        } else {
            None
        }
    });
    assert_none(faults);
}

fn assert_none(faults: impl Iterator<Item = String>) {
    let faults: Vec<_> = faults.collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Every source file but those that hold only tests.
fn sources() -> Vec<Source> {
    sources_in("src")
}

fn sources_in(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                let has_code = |path: &PathBuf| TEST_FOLDERS.iter().all(|folder| !path.ends_with(folder));
                folders.extend(Some(path).filter(has_code));
            } else if name.ends_with(".rs") && !name.ends_with("_tests.rs") && name != "simulation.rs" {
                let relative = path.strip_prefix(&root).unwrap();
                let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
                let layer = first.trim_end_matches(".rs").to_owned();
                sources.push(Source { code: code_of(&fs::read_to_string(&path).unwrap()), layer, path });
            }
        }
    }
    assert!(sources.len() > 40, "the sources were found");
    sources
}

/// Without modules that only tests have, wherever they stand, and without comments.
fn code_of(text: &str) -> String {
    let text = text.split("#[cfg(test)]\n#[path").next().unwrap_or_default();
    let mut parts = text.split("#[cfg(test)]\n");
    let mut code = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let first = part.lines().next().unwrap_or_default();
        let is_module = first.contains("mod ") && first.ends_with('{');
        let rest = if is_module { part.split_once("\n}\n").map_or("", |(_, rest)| rest) } else { part };
        code.push_str(rest);
    }
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn only_modules_of_tests_are_left_out() {
    let modules = ["pub(super) mod switch {\n    b\n}\nc\n", "use d;\n", "mod tests {\n    e\n}\n"];
    let text = ["a\n"].into_iter().chain(modules).collect::<Vec<_>>().join("#[cfg(test)]\n");
    assert_eq!(code_of(&text), "a\nc\nuse d;");
}

/// The layers in `crate::x` and `crate::{x::…, y}`.
fn layers_named(code: &str) -> Vec<String> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut names = Vec::new();
    for rest in code.split("crate::").skip(1) {
        if let Some(list) = rest.strip_prefix('{') {
            let list = list.split(';').next().unwrap_or_default();
            names.extend(
                list.split([',', '{', '}']).map(|item| {
                    item.trim().chars().take_while(|letter| is_word(*letter)).collect::<String>()
                }),
            );
        } else {
            names.push(rest.chars().take_while(|letter| is_word(*letter)).collect());
        }
    }
    names.retain(|name: &String| LAYERS.iter().any(|(layer, _)| layer == name));
    names
}

fn names_crate(code: &str, name: &str) -> bool {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    code.match_indices(&format!("{name}::"))
        .any(|(at, _)| !code[..at].chars().next_back().is_some_and(is_word))
}

#[test]
fn the_reading_of_imports_sees_every_form() {
    assert_eq!(
        layers_named("use crate::net::Key;\nuse crate::{wire, chat::{Hub, Ask}};"),
        ["net", "wire", "chat"]
    );
    assert_eq!(layers_named("fn f() -> crate::serve::Limits {}"), ["serve"]);
    assert!(names_crate("use mio::Waker;", "mio") && names_crate("fn f(x: mio::Token)", "mio"));
    assert!(!names_crate("use crate::mio::X; premio::y", "mio"));
}
