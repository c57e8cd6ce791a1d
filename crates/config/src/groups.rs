//! `groups.toml`: groups that notices go to.

use std::ops::Bound;
use std::path::Path;

use hansho_model::Role;

use crate::fault::Fault;
use crate::people::People;
use crate::reader::{Located, ParsedToml, Reader, Section};
use crate::source::Source;
use crate::syntax::nearest;
use crate::{GROUP_MEMBERS_MAX, GROUPS_MAX, Group};

/// Reads `groups.toml` in `dir`; a house without the file sends notices to nobody. `people` is `None`
/// when that register could not be read, and then its keys are not asked for.
pub(crate) fn read(dir: &Path, people: Option<&People>) -> (Vec<Group>, Vec<Fault>) {
    let source = match Source::read_if_there(dir, "groups.toml") {
        Ok(Some(source)) => source,
        Ok(None) => return (Vec::new(), Vec::new()),
        Err(fault) => return (Vec::new(), vec![*fault]),
    };
    let parsed = ParsedToml::new(&source);
    let mut reader = Reader::new(&source, &parsed);
    let groups = groups(&mut reader, &parsed.root(), people);
    (groups, reader.into_faults())
}

fn groups<'a>(reader: &mut Reader<'a>, root: &Section<'a>, people: Option<&People>) -> Vec<Group> {
    if root.table.len() > GROUPS_MAX {
        let message = format!("{} groups are in the register", root.table.len());
        reader.fault(0..0, message, format!("{GROUPS_MAX} are allowed"));
    }
    let mut found = Vec::new();
    for (key, value) in root.table {
        let name = key.get_ref().as_ref();
        let sign = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > KEY_BYTES_MAX || !name.bytes().all(sign) {
            let remedy = format!("use 1 to {KEY_BYTES_MAX} of a-z, 0-9 and -, such as `dan-2-3`");
            reader.fault(key.span(), format!("`{name}` is no key for a group"), remedy);
        }
        let Some(section) = reader.as_table(name.to_owned(), key.span(), value) else { continue };
        found.extend(group(reader, name, &section, people).map(|group| (key.span().start, group)));
    }
    // The console keeps the order of the file.
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, group)| group).collect()
}

fn group<'a>(
    reader: &mut Reader<'a>,
    key: &str,
    section: &Section<'a>,
    people: Option<&People>,
) -> Option<Group> {
    reader.check_keys(section, &["name", "senders", "members"]);
    let name = reader.required_text(section, "name", NAME_CHARS_MAX, "\"第二支団 第3分団\"");
    if section.table.get("senders").is_none() {
        reader.required(section, "senders", "[\"dispatcher\", \"supervisor\"]");
    }
    let mut senders: Vec<Role> = Vec::new();
    for text in reader.texts(section, "senders", SENDERS.len(), NAME_CHARS_MAX) {
        let Some(role) = reader.word(Some(text), &SENDERS, Role::as_str) else { continue };
        if !senders.contains(&role) {
            senders.push(role);
        }
    }
    if section.table.get("members").is_none() {
        reader.required(section, "members", "[\"volunteer-0001..volunteer-0071\"]");
    }
    let mut members: Vec<String> = Vec::new();
    for text in reader.texts(section, "members", GROUP_MEMBERS_MAX, 2 * NAME_CHARS_MAX) {
        let span = text.span.clone();
        let more = people.map(|people| keys_of(reader, &text, people)).unwrap_or_default();
        if more.iter().any(|key| members.contains(key)) {
            let message = "some of these are members already".to_owned();
            reader.fault(span, message, "name each member once".to_owned());
        }
        members.extend(more);
    }
    if members.len() > GROUP_MEMBERS_MAX {
        let message = format!("`{key}` has {} members", members.len());
        let remedy = format!("{GROUP_MEMBERS_MAX} are allowed; make two groups of them");
        reader.fault(section.place.clone(), message, remedy);
    }
    Some(Group { key: key.to_owned(), name: name?.value.to_owned(), senders, members })
}

/// Keys of people: one, or all from a first to a last one in the order of their letters.
fn keys_of(reader: &mut Reader<'_>, text: &Located<&str>, people: &People) -> Vec<String> {
    let (first, last) = text.value.split_once("..").unwrap_or((text.value, text.value));
    for key in [first, last] {
        if people.contains_key(key) {
            continue;
        }
        let remedy = match nearest(key, people.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`? Or add `{key}` to people.toml"),
            None => format!("add `{key}` to people.toml"),
        };
        let message = format!("nobody in people.toml has the key `{key}`");
        reader.fault(text.span.clone(), message, remedy);
        return Vec::new();
    }
    if first > last {
        let message = format!("`{last}` comes before `{first}`");
        reader.fault(text.span.clone(), message, "write the first one first".to_owned());
        return Vec::new();
    }
    let range = (Bound::Included(first), Bound::Included(last));
    people.range::<str, _>(range).map(|(key, _)| key.clone()).collect()
}

/// Who may send notices at all.
const SENDERS: [Role; 3] = [Role::Dispatcher, Role::Supervisor, Role::DisasterManager];
const KEY_BYTES_MAX: usize = 48;
const NAME_CHARS_MAX: usize = 60;
