//! `people.toml`: subscribers, helpers and operators by key.

use std::collections::BTreeMap;
use std::path::Path;

use hansho_model::{Language, Mode, Private, Role};

use crate::fault::Fault;
use crate::reader::{ParsedToml, Reader, Section};
use crate::source::Source;
use crate::syntax;
use crate::{Login, MAIL_ADDRESSES_MAX, PEOPLE_MAX, Person, TEXT_CHARS_MAX};

/// The register of people, as far as it could be read.
pub(crate) type People = BTreeMap<String, Person>;

/// Reads `people.toml` in `dir`; `None` when it is no TOML, so that nobody asks it for a key.
pub(crate) fn read(dir: &Path, mode: Option<Mode>) -> (Option<People>, Vec<Fault>) {
    let source = match Source::read(dir, "people.toml") {
        Ok(source) => source,
        Err(fault) => return (None, vec![*fault]),
    };
    let parsed = ParsedToml::new(&source);
    let mut reader = Reader::new(&source, &parsed);
    let people = people(&mut reader, &parsed.root(), mode);
    let people = (!reader.broken()).then_some(people);
    (people, reader.into_faults())
}

fn people<'a>(reader: &mut Reader<'a>, root: &Section<'a>, mode: Option<Mode>) -> People {
    if root.table.len() > PEOPLE_MAX {
        let message = format!("{} people are in the register", root.table.len());
        reader.fault(0..0, message, format!("{PEOPLE_MAX} are allowed"));
    }
    let mut people = People::new();
    let mut users: BTreeMap<String, &str> = BTreeMap::new();
    for (key, value) in root.table {
        let name = key.get_ref().as_ref();
        if let Err((message, remedy)) = syntax::key(name) {
            reader.fault(key.span(), message, remedy);
        }
        let Some(section) = reader.as_table(name.to_owned(), key.span(), value) else { continue };
        let person = person(reader, &section, mode);
        if let Some(login) = &person.login {
            if let Some(other) = users.get(&login.user) {
                let message = format!("log-in `{}` is already that of `{other}`", login.user);
                let remedy = "give each person a log-in of their own".to_owned();
                reader.fault(key.span(), message, remedy);
            }
            users.insert(login.user.clone(), name);
        }
        // A person with a fault stays in, so that devices that name the key are not at fault too.
        people.insert(name.to_owned(), person);
    }
    people
}

fn person<'a>(reader: &mut Reader<'a>, section: &Section<'a>, mode: Option<Mode>) -> Person {
    reader.check_keys(section, &["name", "mail", "language", "login"]);
    let name = reader.required_text(section, "name", TEXT_CHARS_MAX, "\"...\"");
    let mut mail: Vec<Private<String>> = Vec::new();
    for address in reader.texts(section, "mail", MAIL_ADDRESSES_MAX, TEXT_CHARS_MAX * 2) {
        let span = address.span.clone();
        let Some(address) = reader.parsed(Some(address), syntax::mail_address) else { continue };
        let domain = address.value.rsplit_once('@').map_or("", |(_, domain)| domain);
        if mode == Some(Mode::Demo) && !syntax::is_example(domain) {
            let message = "a demo may know no real mail address".to_owned();
            reader.fault(span.clone(), message, "write one at `*.example.jp`".to_owned());
        }
        if mail.iter().any(|other| other.0 == address.value) {
            let message = "the same mail address stands here twice".to_owned();
            reader.fault(span, message, "keep one of them".to_owned());
        }
        mail.push(Private(address.value.to_owned()));
    }
    let language = reader.text(section, "language", TEXT_CHARS_MAX);
    let language = reader.parsed(language, |text| {
        Language::from_word(text).ok_or_else(|| {
            (format!("language \"{text}\" is not known"), "write \"ja\" or \"en\"".to_owned())
        })
    });
    let login = reader.table(section, "login");
    Person {
        name: Private(name.map(|name| name.value.to_owned()).unwrap_or_default()),
        mail,
        language: language.map_or(Language::Ja, |language| language.value),
        login: login.and_then(|login| read_login(reader, &login, mode)),
    }
}

fn read_login<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    mode: Option<Mode>,
) -> Option<Login> {
    reader.check_keys(section, &["user", "role", "password_hash", "token_blake3"]);
    let user = reader.required_text(section, "user", TEXT_CHARS_MAX, "\"dispatcher1\"");
    let user = reader.parsed(user, syntax::key);
    let role = reader.required_text(section, "role", TEXT_CHARS_MAX, "\"dispatcher\"");
    let role = reader.parsed(role, |text| {
        // A crew speaks by its terminal and logs in nowhere.
        let person = |role: &Role| *role != Role::Crew;
        Role::from_word(text).filter(person).ok_or_else(|| {
            let known = Role::ALL.iter().filter(|role| person(role));
            let known: Vec<&str> = known.map(|role| role.as_str()).collect();
            let remedy = format!("write one of {}", known.join(", "));
            (format!("role \"{text}\" is not known"), remedy)
        })
    });
    let m_kib_min = if mode == Some(Mode::Real) { MEMORY_KIB_MIN_REAL } else { MEMORY_KIB_MIN };
    let hash = reader.required_text(section, "password_hash", 512, "\"$argon2id$...\"");
    let hash = reader.parsed(hash, |text| syntax::password_hash(text, m_kib_min));
    let token = reader.text(section, "token_blake3", 512);
    let token = reader.parsed(token, syntax::blake3);
    Some(Login {
        user: user?.value.to_owned(),
        role: role?.value,
        password_hash: hash?.value.to_owned(),
        token_hash: token.map(|token| token.value),
    })
}

/// The weakest setting that OWASP's password storage cheat sheet allows with t=2, p=1.
const MEMORY_KIB_MIN_REAL: u32 = 19_456;
/// For invented log-ins of a demo or a drill.
const MEMORY_KIB_MIN: u32 = 1_024;
