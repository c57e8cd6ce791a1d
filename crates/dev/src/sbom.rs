//! `cargo dev sbom`: what the program is made of, as CycloneDX 1.6 in `target/sbom.cdx.json`.
//!
//! Made from what Cargo and npm already know (`cargo metadata`, `Cargo.lock`, `package-lock.json`),
//! so that it needs no tool of its own, and the same tree gives the same bytes: no time, no random
//! number. It holds the crates that `hansho` is linked from or built with on Linux, and the console's
//! packages; of those, what is not in the pages but made them is `excluded`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Failure;
use crate::house::{House, make_folder, write_file};
use crate::run;

/// The machines that it runs on.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const NPM_LOCK: &str = "crates/console/web/package-lock.json";
/// Packages whose code is in the pages; the others build them.
const IN_THE_PAGES: [&str; 2] = ["leaflet", "svelte"];
const FILE: &str = "target/sbom.cdx.json";

/// Writes the file and says where.
pub(crate) fn run(house: &House) -> Result<(), Failure> {
    let (path, bom) = make(house)?;
    let count = bom["components"].as_array().map_or(0, Vec::len);
    make_folder(path.parent().unwrap_or_else(|| house.root()))?;
    write_file(&path, &format!("{bom:#}\n"))?;
    println!("{count} components in {}", path.display());
    Ok(())
}

fn make(house: &House) -> Result<(PathBuf, Value), Failure> {
    let mut cargo = run::cargo(house.root());
    cargo.args(["metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET]);
    let output = cargo.output().map_err(|error| Failure::io("starting `cargo metadata`", error))?;
    if !output.status.success() {
        let what = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Failure::Check { what });
    }
    let metadata = parse(&output.stdout, "cargo metadata")?;
    let read = |name: &str| {
        fs::read(house.at(name)).map_err(|error| Failure::io(format!("reading {name}"), error))
    };
    let lock = String::from_utf8_lossy(&read("Cargo.lock")?).into_owned();
    let npm = parse(&read(NPM_LOCK)?, NPM_LOCK)?;
    Ok((house.at(FILE), bom(&metadata, &lock, &npm)))
}

fn parse(bytes: &[u8], what: &str) -> Result<Value, Failure> {
    serde_json::from_slice(bytes)
        .map_err(|error| Failure::io(format!("reading {what}"), error.into()))
}

/// A part of the program.
struct Part {
    component: Value,
    needs: BTreeSet<String>,
}

fn bom(metadata: &Value, lock: &str, npm: &Value) -> Value {
    let (root, mut parts) = crates(metadata, &checksums(lock));
    parts.extend(packages(npm));
    let house = parts.remove(&root).map(|part| (part.component, part.needs));
    let (component, mut needs) = house.unwrap_or_default();
    needs.extend(parts.keys().filter(|purl| purl.starts_with("pkg:npm/")).cloned());
    let mut graph = vec![json!({"ref": root, "dependsOn": needs})];
    graph.extend(parts.iter().map(|(purl, part)| json!({"ref": purl, "dependsOn": part.needs})));
    let components: Vec<Value> = parts.into_values().map(|part| part.component).collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component},
        "components": components,
        "dependencies": graph,
    })
}

/// What `hansho` is linked from or built with: its own name, and all parts by name.
fn crates(metadata: &Value, sums: &BTreeMap<String, String>) -> (String, BTreeMap<String, Part>) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let by_id = |items: Vec<Value>| -> BTreeMap<String, Value> {
        items.into_iter().map(|item| (word(&item["id"]), item)).collect()
    };
    let packages = by_id(list(&metadata["packages"]));
    let nodes = by_id(list(&metadata["resolve"]["nodes"]));
    let root = word(&metadata["resolve"]["root"]);
    let purl = |id: &str| {
        let package = &packages[id];
        format!("pkg:cargo/{}@{}", word(&package["name"]), word(&package["version"]))
    };
    let mut parts = BTreeMap::new();
    let mut waiting = vec![root.clone()];
    while let Some(id) = waiting.pop() {
        let name = purl(&id);
        if parts.contains_key(&name) {
            continue;
        }
        let shipped =
            |edge: &Value| list(&edge["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
        let edges = list(&nodes[&id]["deps"]).into_iter().filter(shipped);
        let ids: Vec<String> = edges.map(|edge| word(&edge["pkg"])).collect();
        let component = crate_component(&packages[&id], &name, sums, id == root);
        let needs = ids.iter().map(|id| purl(id)).collect();
        parts.insert(name, Part { component, needs });
        waiting.extend(ids);
    }
    (purl(&root), parts)
}

fn crate_component(
    package: &Value,
    purl: &str,
    sums: &BTreeMap<String, String>,
    is_house: bool,
) -> Value {
    let mut component = json!({
        "type": if is_house { "application" } else { "library" },
        "bom-ref": purl,
        "name": package["name"],
        "version": package["version"],
        "purl": purl,
        // Older manifests write a stroke where SPDX has a word.
        "licenses": licences(package["license"].as_str().map(|text| text.replace('/', " OR "))),
    });
    if let Some(sum) = sums.get(purl) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
    }
    component
}

/// Checksums of a `Cargo.lock`, by the packages' names here. Its form is Cargo's own and has one
/// `key = "value"` a line.
fn checksums(lock: &str) -> BTreeMap<String, String> {
    let mut sums = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let line =
                package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
            line.and_then(|rest| rest.strip_suffix('"'))
        };
        if let (Some(name), Some(version), Some(sum)) =
            (value("name"), value("version"), value("checksum"))
        {
            sums.insert(format!("pkg:cargo/{name}@{version}"), sum.to_owned());
        }
    }
    sums
}

/// The packages of a `package-lock.json`.
fn packages(npm: &Value) -> BTreeMap<String, Part> {
    let empty = serde_json::Map::new();
    let all = npm["packages"].as_object().unwrap_or(&empty);
    let purls: BTreeMap<&str, String> = all
        .iter()
        .filter_map(|(path, package)| Some((path.as_str(), npm_purl(path, package)?)))
        .collect();
    let needs = |path: &str| -> BTreeSet<String> {
        let wanted = all[path]["dependencies"].as_object().into_iter().flatten();
        wanted
            .filter_map(|(name, _)| purls.get(find(&purls, path, name)?.as_str()).cloned())
            .collect()
    };
    let mut inside = BTreeSet::new();
    let begin = IN_THE_PAGES.map(|name| format!("node_modules/{name}"));
    let mut waiting: Vec<String> =
        begin.into_iter().filter(|path| all.contains_key(path)).collect();
    while let Some(path) = waiting.pop() {
        let wanted = all[&path]["dependencies"].as_object().into_iter().flatten();
        let wanted = wanted.filter_map(|(name, _)| find(&purls, &path, name)).collect::<Vec<_>>();
        if inside.insert(path) {
            waiting.extend(wanted);
        }
    }
    let part = |(path, purl): (&&str, &String)| {
        let component = npm_component(&all[*path], purl, npm_name(path)?, inside.contains(*path));
        Some((purl.clone(), Part { component, needs: needs(path) }))
    };
    purls.iter().filter_map(part).collect()
}

/// Where a package that `path` asks for stands: beside it, or in a folder above.
fn find(purls: &BTreeMap<&str, String>, path: &str, name: &str) -> Option<String> {
    let mut folder = path;
    loop {
        let beside = format!("{folder}/node_modules/{name}");
        if purls.contains_key(beside.as_str()) {
            return Some(beside);
        }
        folder = match folder.rsplit_once("/node_modules/") {
            Some((above, _)) => above,
            None => break,
        };
    }
    let top = format!("node_modules/{name}");
    purls.contains_key(top.as_str()).then_some(top)
}

fn npm_name(path: &str) -> Option<&str> {
    path.rsplit_once("node_modules/").map(|(_, name)| name)
}

fn npm_purl(path: &str, package: &Value) -> Option<String> {
    let name = npm_name(path)?.replace('@', "%40");
    Some(format!("pkg:npm/{name}@{}", package["version"].as_str()?))
}

fn npm_component(package: &Value, purl: &str, name: &str, in_the_pages: bool) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": package["version"],
        "scope": if in_the_pages { "required" } else { "excluded" },
        "purl": purl,
        "licenses": licences(package["license"].as_str().map(str::to_owned)),
    });
    let sum = package["integrity"].as_str().and_then(|text| text.strip_prefix("sha512-"));
    if let Some(sum) = sum.and_then(hex_of_base64) {
        component["hashes"] = json!([{"alg": "SHA-512", "content": sum}]);
    }
    component
}

fn licences(expression: Option<String>) -> Value {
    expression.map_or_else(|| json!([]), |expression| json!([{"expression": expression}]))
}

/// Hexadecimal digits of what stands in base64.
fn hex_of_base64(text: &str) -> Option<String> {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held, mut hex) = (0_u32, 0, String::new());
    for letter in text.trim_end_matches('=').chars() {
        bits = bits << 6 | u32::try_from(LETTERS.find(letter)?).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            hex.push_str(&format!("{:02x}", bits >> held & 0xff));
        }
    }
    Some(hex)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_house_has_one_that_is_whole_and_always_the_same() {
        let house = House::find().unwrap();
        let (_, bom) = make(&house).unwrap();
        assert_eq!(make(&house).unwrap().1.to_string(), bom.to_string());
        let components = bom["components"].as_array().unwrap();
        let of = |purl: &str| {
            let mut found = components
                .iter()
                .filter(|each| each["purl"].as_str().is_some_and(|found| found.starts_with(purl)));
            found.next().cloned()
        };
        let sqlite = of("pkg:cargo/libsqlite3-sys@").unwrap();
        assert_eq!(sqlite["hashes"][0]["content"].as_str().unwrap().len(), 64);
        assert_eq!(of("pkg:npm/svelte@").unwrap()["scope"], "required");
        assert_eq!(of("pkg:npm/vite@").unwrap()["scope"], "excluded");
        assert!(of("pkg:cargo/hansho-core@").is_some());
        assert!(of("pkg:cargo/proptest@").is_none(), "what only tests use is not shipped");
        assert!(of("pkg:cargo/windows-sys@").is_none(), "what other machines use is not shipped");
        let refs: BTreeSet<&str> =
            components.iter().map(|each| each["bom-ref"].as_str().unwrap()).collect();
        assert_eq!(refs.len(), components.len(), "each once");
        for each in bom["dependencies"].as_array().unwrap() {
            for needed in each["dependsOn"].as_array().unwrap() {
                assert!(refs.contains(needed.as_str().unwrap()), "{needed} is not listed");
            }
        }
        for each in components {
            let ours = each["name"].as_str().unwrap().starts_with("hansho-");
            assert!(ours || each["hashes"].is_array(), "{} has no hash", each["purl"]);
            assert!(
                !each["licenses"].as_array().unwrap().is_empty(),
                "{}: no licence",
                each["purl"]
            );
        }
        is_valid(&house, &bom.to_string());
    }

    /// By the schema of CycloneDX, which a Python package brings.
    fn is_valid(house: &House, bom: &str) {
        let python = std::env::var_os("HANSHO_PYTHON").map(PathBuf::from);
        let python = python.unwrap_or_else(|| house.at("target/venv/bin/python"));
        let script = "import sys\n\
            from cyclonedx.schema import SchemaVersion\n\
            from cyclonedx.validation.json import JsonStrictValidator\n\
            error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())\n\
            sys.exit(str(error) if error else 0)";
        let there = Command::new(&python).args(["-c", "import cyclonedx, jsonschema"]).output();
        if !there.is_ok_and(|output| output.status.success()) {
            println!("skipped: the schema is in target/venv, which `cargo dev test` makes");
            return;
        }
        let file = std::env::temp_dir().join(format!("hansho-sbom-{}.json", std::process::id()));
        fs::write(&file, bom).unwrap();
        let output = Command::new(python).args(["-c", script]).arg(&file).output().unwrap();
        fs::remove_file(&file).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    #[test]
    fn base64_is_read() {
        assert_eq!(hex_of_base64("AAEC/w==").as_deref(), Some("000102ff"));
        assert_eq!(hex_of_base64("A*"), None);
    }
}
