//! The house's rules that a machine can check, over the files as they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use hansho_telemetry::{Counter, Gauge, Histogram, Metric};
use toml::Table;

/// Which of our packages each of our packages may use. An arrow that is not here does not exist.
const ARROWS: [(&str, &[&str]); 16] = [
    ("model", &[]),
    ("protocols", &["model"]),
    ("atlas", &["model"]),
    ("core", &["model", "atlas"]),
    ("journal", &["model"]),
    ("intake", &["model", "protocols"]),
    ("outbox", &["model"]),
    ("alerts", &["model", "outbox"]),
    ("console", &["model", "core"]),
    (
        "engine",
        &[
            "model",
            "protocols",
            "atlas",
            "core",
            "journal",
            "intake",
            "outbox",
            "alerts",
            "console",
            "config",
        ],
    ),
    ("config", &["model"]),
    ("telemetry", &[]),
    ("dev", &[]),
    (
        "hansho",
        &[
            "model",
            "protocols",
            "atlas",
            "core",
            "journal",
            "intake",
            "outbox",
            "alerts",
            "console",
            "engine",
            "config",
            "simulators",
        ],
    ),
    ("simulators", &["model", "protocols"]),
    ("fuzz", &["model", "protocols"]),
];

/// Those that may not use `telemetry`: they neither log nor count, or know nobody at all.
const SILENT: [&str; 6] = ["model", "protocols", "atlas", "core", "telemetry", "dev"];

/// A heavy dependency, and the only packages that may name it.
const FENCES: [(&str, &[&str]); 17] = [
    ("roxmltree", &["protocols"]),
    ("mqtt-protocol-core", &["protocols"]),
    ("rusqlite", &["journal"]),
    ("chacha20poly1305", &["journal"]),
    ("zstd", &["journal"]),
    ("axum", &["console", "simulators"]),
    ("rust-embed", &["console"]),
    ("lettre", &["alerts"]),
    ("geo", &["atlas"]),
    ("rumqttc", &["intake", "simulators"]),
    ("tokio-rustls", &["intake", "simulators"]),
    ("quinn", &["intake", "simulators"]),
    ("rcgen", &["engine", "intake"]),
    ("serialport", &["intake"]),
    ("metrics", &["telemetry"]),
    ("metrics-exporter-prometheus", &["telemetry"]),
    ("tokio", &["intake", "outbox", "alerts", "console", "engine", "hansho", "simulators"]),
];

const TOP: [&str; 6] = ["Cargo.toml", "crates", "config", "simulators", "tests", "README.md"];
const TOP_TOO: [&str; 2] = ["Cargo.lock", "LICENSE"];
const LINES_MAX: usize = 1_000;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file of ours below `folder`, without what tools make.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let made = ["target", "node_modules", "dist", ".git", "artifacts", "corpus"];
        if made.contains(&name.as_str()) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.contains(&e))
}

/// Relative to the root, for messages.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn workspace() -> Table {
    read(&root().join("Cargo.toml")).parse().unwrap()
}

/// Manifests by the short name of their package; the root's is `hansho`.
fn manifests() -> BTreeMap<String, Table> {
    let workspace = workspace();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let folders = members.iter().map(|member| member.as_str().unwrap().to_owned());
    let mut manifests = BTreeMap::from([("hansho".to_owned(), workspace.clone())]);
    for folder in folders {
        let manifest: Table = read(&root().join(&folder).join("Cargo.toml")).parse().unwrap();
        let name = manifest["package"]["name"].as_str().unwrap();
        let short = name.strip_prefix("hansho-").unwrap().to_owned();
        assert!(folder.ends_with(&short), "{folder} holds the package {name}");
        manifests.insert(short, manifest);
    }
    manifests
}

/// The dependencies in a section of a manifest.
fn dependencies<'a>(manifest: &'a Table, section: &str) -> Vec<(&'a str, &'a toml::Value)> {
    let table = manifest.get(section).and_then(toml::Value::as_table);
    table.into_iter().flatten().map(|(name, value)| (name.as_str(), value)).collect()
}

/// Fails with every fault, so that one run shows all there is to mend.
#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// What `find` finds in each line of these files, as `file:line: what`.
fn in_lines(paths: &[PathBuf], find: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let mut found = Vec::new();
    for path in paths {
        for (line_index, line) in read(path).lines().enumerate() {
            let place = format!("{}:{}", shown(path), line_index + 1);
            found.extend(find(line).into_iter().map(|what| format!("{place}: {what}")));
        }
    }
    found
}

#[test]
fn arrows_are_those_of_the_map() {
    let mut faults = Vec::new();
    for (package, manifest) in manifests() {
        let listed = ARROWS.iter().find(|(name, _)| *name == package);
        let Some((_, allowed)) = listed else {
            faults.push(format!("{package} is not in the list of arrows"));
            continue;
        };
        for (name, _) in dependencies(&manifest, "dependencies") {
            let Some(used) = name.strip_prefix("hansho-") else { continue };
            let telemetry = used == "telemetry" && !SILENT.contains(&package.as_str());
            if !allowed.contains(&used) && !telemetry {
                faults.push(format!("{package} may not use {used}"));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn heavy_dependencies_stay_behind_their_fences() {
    let mut faults = Vec::new();
    for (package, manifest) in manifests() {
        for (name, _) in dependencies(&manifest, "dependencies") {
            let fence = FENCES.iter().find(|(fenced, _)| *fenced == name);
            if fence.is_some_and(|(_, allowed)| !allowed.contains(&package.as_str())) {
                faults.push(format!("{package} may not use {name}"));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn versions_stand_once_and_lints_are_inherited() {
    let mut faults = Vec::new();
    for (package, manifest) in manifests() {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in dependencies(&manifest, section) {
                if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                    faults.push(format!("{package}: {name} has a version of its own"));
                }
            }
        }
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(toml::Value::as_bool) != Some(true) {
            faults.push(format!("{package}: does not inherit the house's lints"));
        }
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if manifest["package"].get(key).and_then(|value| value.get("workspace")).is_none() {
                faults.push(format!("{package}: {key} is not the workspace's"));
            }
        }
    }
    for (name, value) in workspace()["workspace"]["dependencies"].as_table().unwrap() {
        let local = value.get("path").is_some();
        let lean = value.get("default-features").and_then(toml::Value::as_bool) == Some(false);
        if !local && !lean {
            faults.push(format!("{name}: default-features = false is missing"));
        }
    }
    assert_none(&faults);
}

#[test]
fn files_are_short_or_say_why() {
    let mut faults = Vec::new();
    for path in files(root()) {
        if !has_extension(&path, &["rs", "ts", "svelte", "py"]) {
            continue;
        }
        let text = read(&path);
        let lines = text.lines().count();
        let reason = text.lines().take(20).any(|line| line.contains("stays whole"));
        // A file that a tool writes is as long as it is.
        let made = text.lines().take(5).any(|line| line.contains("auto-generated"));
        if lines > LINES_MAX && !reason && !made {
            let remedy = "part it, or say at its top why it stays whole";
            faults.push(format!("{}: {lines} lines; {remedy}", shown(&path)));
        }
    }
    assert_none(&faults);
}

#[test]
fn every_protocol_has_a_vectors_file() {
    let protocols = root().join("crates/protocols");
    let registry = read(&protocols.join("src/registry.rs"));
    let (_, list) = registry.split_once("\nprotocols! {").expect("the list of protocols");
    let (list, _) = list.split_once("\n}").unwrap();
    let names: Vec<&str> = list
        .lines()
        .filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = "))
        .map(|(_, module)| module)
        .collect();
    assert!(!names.is_empty(), "no protocol was found in the registry");
    for name in names {
        let file = protocols.join(format!("vectors/{name}.toml"));
        assert!(file.is_file(), "{} is missing", shown(&file));
    }
}

#[test]
fn every_metric_is_filled() {
    let words = words_of_the_shell();
    let mut faults = unfilled::<Counter>("Counter", &words);
    faults.extend(unfilled::<Gauge>("Gauge", &words));
    faults.extend(unfilled::<Histogram>("Histogram", &words));
    assert_none(&faults);
}

fn unfilled<M: Metric + Debug>(kind: &str, words: &BTreeSet<String>) -> Vec<String> {
    let names = M::ALL.iter().map(|metric| format!("{kind}::{metric:?}"));
    let unfilled = names.filter(|name| !words.contains(name));
    unfilled.map(|name| format!("{name} is filled nowhere: fill it, or delete it")).collect()
}

/// Paths and names in the code of all crates but `telemetry`, without comments and tests.
fn words_of_the_shell() -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for path in files(&root().join("crates")) {
        let ours = !path.starts_with(root().join("crates/telemetry"));
        let tests = path.components().any(|part| part.as_os_str() == "tests");
        if !ours || tests || !has_extension(&path, &["rs"]) {
            continue;
        }
        let text = read(&path);
        words.extend(paths_in(&text).map(str::to_owned));
    }
    words
}

fn paths_in(text: &str) -> impl Iterator<Item = &str> {
    let (code, _tests) = text.split_once("\n#[cfg(test)]\nmod tests").unwrap_or((text, ""));
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| {
        line.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, ':' | '_')))
    })
}

#[test]
fn every_folder_has_a_readme() {
    let mut folders: Vec<PathBuf> =
        ["crates", "config", "simulators", "tests"].iter().map(|name| root().join(name)).collect();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    let readmes = folders.iter().map(|folder| folder.join("README.md"));
    let missing = readmes.filter(|readme| !readme.is_file()).map(|readme| shown(&readme));
    assert_none(&missing.collect::<Vec<_>>());
}

#[test]
fn the_map_names_every_crate() {
    let map = read(&root().join("crates/README.md"));
    for package in manifests().keys() {
        assert!(
            map.contains(&format!("`{package}`")),
            "crates/README.md says nothing of {package}"
        );
    }
    assert!(map.contains("**Invariant:**"), "crates/README.md holds the invariants");
}

#[test]
fn links_between_readmes_lead_somewhere() {
    for path in files(root()).iter().filter(|path| has_extension(path, &["md"])) {
        let text = read(path);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let there = path.parent().unwrap().join(target).exists();
            assert!(there, "{} links to {target}, which is not there", shown(path));
        }
    }
}

#[test]
fn the_top_holds_six_names() {
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = TOP.contains(&name.as_str()) || TOP_TOO.contains(&name.as_str());
        assert!(known || name == "target" || name.starts_with('.'), "{name} at the top");
    }
    for name in TOP.iter().chain(&TOP_TOO) {
        assert!(root().join(name).exists(), "{name} is missing at the top");
    }
}

/// Files in which people of the invented city, or of tests, may stand.
fn texts() -> Vec<PathBuf> {
    let known = ["rs", "toml", "md", "ts", "svelte", "py", "json", "snap", "jsonl", "sql", "html"];
    let of_others = ["package-lock.json", "openapi.json"];
    files(root())
        .into_iter()
        .filter(|path| has_extension(path, &known))
        .filter(|path| !of_others.iter().any(|name| path.ends_with(name)))
        .filter(|path| !path.ends_with("tests/tidy.rs"))
        .collect()
}

/// Domains that are set aside for examples, and one with which tests show what must be refused.
const DOMAINS: [&str; 9] = [
    "example.jp",
    "example",
    "example.com",
    "example.net",
    "example.org",
    "invalid",
    "test",
    "localhost",
    "notexample.jp",
];

#[test]
fn mail_addresses_are_at_example_domains() {
    assert_none(&in_lines(&texts(), |line| {
        let mut domains = mail_domains(line);
        domains.retain(|domain| {
            !DOMAINS.iter().any(|aside| {
                domain.strip_suffix(aside).is_some_and(|r| r.is_empty() || r.ends_with('.'))
            })
        });
        domains.into_iter().map(str::to_owned).collect()
    }));
}

/// What stands behind each `@` and looks like a domain with a top level of letters.
fn mail_domains(line: &str) -> Vec<&str> {
    let local = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    let mut domains = Vec::new();
    for (at, _) in line.match_indices('@') {
        let (before, rest) = line.split_at(at);
        if !before.chars().next_back().is_some_and(local) {
            continue;
        }
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let domain = rest.trim_start_matches('@').split(|c| !part(c)).next().unwrap_or("");
        let domain = domain.trim_end_matches('.');
        let top = domain.rsplit_once('.').map_or("", |(_, top)| top);
        if top.len() >= 2 && top.chars().all(|c| c.is_ascii_lowercase()) {
            domains.push(domain);
        }
    }
    domains
}

#[test]
fn telephone_numbers_are_of_blocks_that_nobody_has() {
    assert_none(&in_lines(&texts(), |line| {
        let mut numbers = telephone_numbers(line);
        numbers.retain(|n| !n.starts_with("090-0000-") && !n.starts_with("0246-00-"));
        numbers.into_iter().map(str::to_owned).collect()
    }));
}

/// Japanese numbers as people write them: mobile `090-1234-5678`, Iwaki's fixed `0246-12-3456`.
fn telephone_numbers(line: &str) -> Vec<&str> {
    let parts: Vec<&str> = line.split(|c: char| !c.is_ascii_digit() && c != '-').collect();
    parts
        .into_iter()
        .filter(|part| {
            let lengths: Vec<usize> = part.split('-').map(str::len).collect();
            let mobile = ["070-", "080-", "090-"].iter().any(|start| part.starts_with(start));
            (mobile && lengths == [3, 4, 4]) || (part.starts_with('0') && lengths == [4, 2, 4])
        })
        .collect()
}

#[test]
fn words_of_the_unfinished_do_not_stand_in_the_house() {
    // Put together here, so that this file does not accuse itself.
    let words = ["TO", "FIX", "XX"].iter().zip(["DO", "ME", "X"]).map(|(a, b)| format!("{a}{b}"));
    let words: Vec<String> = words.collect();
    assert_none(&in_lines(&texts(), |line| {
        let found = line.split(|c: char| !c.is_ascii_alphanumeric());
        found.filter(|word| words.iter().any(|w| w == word)).map(str::to_owned).collect()
    }));
}

#[test]
fn tests_do_not_hide() {
    let hidden = ["ignore", "should_panic"].map(|word| format!("#[{word}"));
    for path in files(root()).iter().filter(|path| has_extension(path, &["rs"])) {
        let text = read(path);
        for word in &hidden {
            let at = text.lines().position(|line| line.trim_start().starts_with(word.as_str()));
            assert_eq!(at, None, "{} hides a test behind {word}]", shown(path));
        }
    }
}

#[test]
fn the_checks_above_see_what_they_look_for() {
    assert_eq!(
        mail_domains("to a@b.co.jp, <x.y@mail.example.jp>."),
        ["b.co.jp", "mail.example.jp"]
    );
    assert!(mail_domains("serde@1.0 @test user@host").is_empty());
    assert_eq!(
        telephone_numbers("call 090-1234-5678 or 0246-12-3456"),
        ["090-1234-5678", "0246-12-3456"]
    );
    assert!(telephone_numbers("2026-11-23 and 0-4-4").is_empty());
    let filled = "// Counter::A\n  Counter::B.add(\"\", 1);\n#[cfg(test)]\nmod tests {Counter::C}";
    let words: Vec<&str> = paths_in(filled).filter(|word| word.contains("::")).collect();
    assert_eq!(words, ["Counter::B"]);
}
