//! What a person reads when a configuration is wrong, and what the demo's holds.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::syntax;

const SITE: &str = r#"
mode = "training"
headquarters = "試験消防本部(架空)"
unknown_devices = "refuse"
[listen]
console = "127.0.0.1:0"
"#;

/// The faults of a configuration of these three files, as a person reads them.
fn run(site: &str, people: &str, devices: &str) -> String {
    run_files(&[("hansho.toml", site), ("people.toml", people), ("devices.toml", devices)])
}

fn run_files(files: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    match Config::load(dir.path()) {
        Ok(_) => "sound".to_owned(),
        Err(error) => error.to_string().replace(dir.path().to_str().unwrap(), "config"),
    }
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/demo")
}

#[test]
fn a_small_configuration_is_sound() {
    assert_eq!(run(SITE, "", ""), "sound");
}

#[test]
fn defaults_are_as_documented() {
    let dir = tempfile::tempdir().unwrap();
    let mail = "[mail]\nrelay = \"relay.example.jp:25\"\nsender = \"a@city.example.jp\"\n\
                providers = { docomo = [\"docomo.example.jp\", \"Mail.example.jp\"] }\n";
    fs::write(dir.path().join("hansho.toml"), format!("{SITE}{mail}")).unwrap();
    fs::write(dir.path().join("people.toml"), "").unwrap();
    fs::write(dir.path().join("devices.toml"), "").unwrap();
    let site = Config::load(dir.path()).unwrap().site;
    assert_eq!(site.answer_url, "http://127.0.0.1:0");
    assert_eq!((site.answer_minutes, site.reserve_mib, site.session_hours), (120, 64, 12));
    assert_eq!(site.sip, SipSettings::default(), "nobody may assert a number, nobody is rung");
    let mail = site.mail.unwrap();
    assert!(mail.starttls, "a relay on another machine is spoken to in secret");
    assert_eq!((mail.connections, mail.message_domain.as_str()), (8, "city.example.jp"));
    assert_eq!((mail.provider_connections, mail.providers.len()), (4, 2));
    assert_eq!(mail.providers["mail.example.jp"], "docomo");
}

#[test]
fn faults_of_the_site() {
    let empty = run("", "", "");
    let wrong = run(
        r#"
mode = "rael"
headqarters = "x"
headquarters = ""
unknown_devices = 3
colour = "red"
answers = "http://a"

[listen]
console = "127.0.0.1"
dc09 = "127.0.0.1:7700"
telex = "127.0.0.1:5060"

[mail]
relay = "mail.example.jp"
connections = 65
provider_connections = 0
providers = { au = ["au.example.jp", "a b"], kddi = ["au.example.jp"], "" = [] }
sender = "nobody"
message_domain = "-x-"
starttls = "maybe"
user = "hansho"

[data]
reserve_mib = 0

[console]
session_hours = 1.5
"#,
        "",
        "",
    );
    let clash = run(
        r#"mode = "real"
headquarters = "試験消防本部"
unknown_devices = "refuse"
listen = { console = "0.0.0.0:7700", dc09 = "127.0.0.1:7700", sip = "0.0.0.0:5060" }
[mail]
relay = "relay.example.jp:25"
sender = "a@city.example.jp"
starttls = "never"
user = "hansho"
password_file = "secret/none"
[answers]
url = "https://answer.example.jp/"
minutes = 1441
"#,
        "",
        "",
    );
    let demo = run(
        r#"mode = "demo"
headquarters = "いわき市消防本部"
unknown_devices = "show"
listen = { console = "127.0.0.1:0" }
[mail]
relay = "smtp.notexample.jp:25"
sender = "dispatch@notexample.jp"
[sip]
trunks = ["127.0.0.1", "192.0.2.7", "carrier"]
[seats]
desk1 = "sip:desk1@192.0.2.21:5060"
desk2 = "sip:desk2@phone.example.jp"
desk3 = "desk3"
desk4 = "sip:desk4@127.0.0.1:5074;transport=tls"
"" = "sip:desk5@127.0.0.1:5076"
"#,
        "a = { name = \"利用者\", mail = [\"someone@notexample.jp\"] }",
        "",
    );
    insta::assert_snapshot!([empty, wrong, clash, demo].join("\n\n----\n\n"));
}

#[test]
fn faults_of_people() {
    let hash = format!("$argon2id$v=19$m=1023,t=2,p=1${}${}", "c".repeat(22), "h".repeat(43));
    let people = format!(
        r#"
Tarou = {{ name = "利用者 1" }}
a = {{ nmae = "利用者 2", mail = "x@mail.example.jp" }}
b = {{ name = "利用者 3", mail = ["x@@mail.example.jp", "x.mail.example.jp", "x y@mail.example.jp", "x@localhost"] }}
c = {{ name = "利用者 4", mail = ["x@a.example.jp", "x@a.example.jp"], language = "fr" }}
d = {{ name = "d", mail = ["1@a.example.jp", "2@a.example.jp", "3@a.example.jp", "4@a.example.jp", "5@a.example.jp"] }}
e = 5

[operator1]
name = "指令員 1"
login = {{ user = "o1", role = "boss", password_hash = "secret", token_blake3 = "0123" }}
[operator2]
name = "指令員	2"
login = {{ user = "o2", role = "viewer", password_hash = "{hash}" }}
[operator3]
name = "指令員 3"
login = {{ user = "o3" }}
"#
    );
    let text = run(SITE, &people, "");
    assert!(!text.contains("secret") && !text.contains("hhhh") && !text.contains("0123"));
    insta::assert_snapshot!(text);
}

#[test]
fn a_log_gets_the_place_and_the_remedy_and_no_name_or_address() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hansho.toml"), SITE).unwrap();
    let people = "a = { name = \"花子\", mail = [\"hanako.example.jp\"] }\n";
    fs::write(dir.path().join("people.toml"), people).unwrap();
    fs::write(dir.path().join("devices.toml"), "").unwrap();
    let error = Config::load(dir.path()).unwrap_err();
    assert!(error.to_string().contains("花子"), "who mends it sees the line");
    let lines: Vec<String> = error.faults.iter().map(Fault::for_log).collect();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line.contains("people.toml:1:28  the mail address has no `@`; write one"), "{line}");
    assert!(!line.contains("花子") && !line.contains("hanako"), "{line}");
    fs::write(dir.path().join("hansho.toml"), SITE.replace("refuse", "eat")).unwrap();
    let error = Config::load(dir.path()).unwrap_err();
    let site = error.faults.iter().find(|fault| fault.file.ends_with("hansho.toml")).unwrap();
    assert_eq!(site.for_log(), site.to_string());
}

#[test]
fn one_log_in_for_two_people_is_refused() {
    let hash = format!("$argon2id$v=19$m=1024,t=2,p=1${}${}", "c".repeat(22), "h".repeat(43));
    let person = |key: &str| {
        format!(
            "{key} = {{ name = \"指令員\", login = {{ user = \"o\", role = \"viewer\", \
             password_hash = \"{hash}\" }} }}\n"
        )
    };
    assert_eq!(run(SITE, &person("a"), ""), "sound");
    let text = run(SITE, &format!("{}{}", person("a"), person("b")), "");
    assert!(text.contains("2:1  log-in `o` is already that of `a`"), "{text}");
    // Costs that are enough for a drill are too little for the real thing.
    let real = SITE.replace("training", "real");
    assert!(run(&real, &person("a"), "").contains("make it with m=19456 or more"));
}

/// As [`run`], with vehicles and plans beside a sound rest.
fn run_fleet(units: &str, plans: &str) -> String {
    let sound = [("hansho.toml", SITE), ("people.toml", ""), ("devices.toml", "")];
    run_files(&[&sound[..], &[("units.toml", units), ("plans.toml", plans)]].concat())
}

/// As [`run`], with groups and satellite sites beside a sound rest of three people.
fn run_outside(groups: &str, sites: &str) -> String {
    let people = "a-1 = { name = \"甲\" }\na-2 = { name = \"乙\" }\na-3 = { name = \"丙\" }\n";
    let sound = [("hansho.toml", SITE), ("people.toml", people), ("devices.toml", "")];
    run_files(&[&sound[..], &[("groups.toml", groups), ("sites.toml", sites)]].concat())
}

#[test]
fn faults_of_groups() {
    let groups = r#"
everybody = { name = "全員", senders = ["supervisor"], members = ["a-1..a-3"] }
Dan-1 = { name = "大文字", senders = ["dispatcher"], members = ["a-1"] }
twice = { name = "二度", senders = ["dispatcher"], members = ["a-1", "a-1..a-2"] }
backward = { name = "逆", senders = ["dispatcher"], members = ["a-3..a-1"] }
strangers = { name = "他人", senders = ["dispatcher"], members = ["a-4", "b-1..b-9"] }
viewers = { name = "閲覧", senders = ["viewer", 5], members = ["a-1"] }
bare = {}
flat = ["a-1"]
more = { name = "", senders = [], members = ["a-1"], owner = "a-1" }
"#;
    insta::assert_snapshot!(run_outside(groups, ""));
}

#[test]
fn faults_of_sites() {
    let sites = r#"
[modems]
roof = { port = "/dev/serial/by-id/one", model = "9602", mailbox_minutes = 30 }
cellar = { port = "/dev/serial/by-id/one" }
"Roof 2" = { port = "/dev/serial/by-id/two", model = "9600", mailbox_minutes = 4 }
bare = {}
flat = "/dev/ttyUSB0"
[sites]
300000000000101 = { name = "小名浜支所", district = 2 }
30000000000010 = { name = "一桁足りない" }
30000000000010x = { name = "数字でない", district = 14 }
300000000000103 = { district = 4 }
[site]
"#;
    insta::assert_snapshot!(run_outside("", sites));
}

#[test]
fn limits_of_groups_and_sites_hold_at_the_limit_and_one_more() {
    let groups = |count: usize| {
        let line = |n| format!("g{n} = {{ name = \"g\", senders = [], members = [\"a-1\"] }}\n");
        run_outside(&(0..count).map(line).collect::<String>(), "")
    };
    assert_eq!(groups(GROUPS_MAX), "sound");
    assert!(groups(GROUPS_MAX + 1).contains("groups are in the register"));
    let modems = |count: usize| {
        let name = |n: usize| "abcdefghijklmnopqrstuvwxyz".get(n..=n).unwrap();
        let line = |n| format!("m-{} = {{ port = \"/dev/port{n}\" }}\n", name(n));
        run_outside("", &format!("[modems]\n{}", (0..count).map(line).collect::<String>()))
    };
    assert_eq!(modems(MODEMS_MAX), "sound");
    assert!(modems(MODEMS_MAX + 1).contains("modems are in the register"));
    let sites = |count: usize| {
        let line = |n| format!("{:015} = {{ name = \"支所\" }}\n", 300_000_000_000_000_u64 + n);
        run_outside("", &format!("[sites]\n{}", (0..count as u64).map(line).collect::<String>()))
    };
    assert_eq!(sites(SITES_MAX), "sound");
    assert!(sites(SITES_MAX + 1).contains("sites are in the register"));
}

#[test]
fn faults_of_units() {
    let units = r#"
[stations]
"平" = { lat = 37.0558, lon = 140.8930 }
"小名浜" = { lat = 97.0, lon = "140" }
"勿来" = { lat = 37.05040001 }
"常 磐" = 5

[units]
"平1" = { station = "平", kind = "TANK", crew = 4 }
"平2" = { station = "平", kind = "PUNP", crew = 13 }
"平3" = { station = "平山", kind = "PUMP" }
"平4" = { station = "平", kind = "PUMP", crew = 4, crew_of = "平1" }
"平5" = { station = "平", kind = "PUMP", crew_of = "平1" }
"平6" = { station = "平", kind = "LADDER", crew_of = "平5" }
"平7" = { station = "平", kind = "LADDER", crew_of = "郡山1", also = ["fly"], reserve = "no" }
"平8" = { kind = "AMB", reserve = true, found = { availability = "OO" } }
"平9" = { station = "平", kind = "AMB", crew = 3, found = { status = "AL", since_min = -1 } }

[unit]
"#;
    insta::assert_snapshot!(run_fleet(units, ""));
}

#[test]
fn faults_of_plans() {
    let plans = r#"
["fire/building"]
first = [
    { ability = "pump", count = 33 },
    { ability = "pumps", count = 1 },
    { count = 1 },
    { ability = "pump", count = 2, with = "water", with_count = 3 },
    { ability = "pump", count = 2, with_count = 1 },
    5,
]
["war"]
first = []
["ems"]
second = []
["rescue"]
first = "all"
"#;
    insta::assert_snapshot!(run_fleet("", plans));
}

#[test]
fn limits_of_units_and_plans_hold_at_the_limit_and_one_more() {
    let station = "[stations]\n\"平\" = { lat = 37, lon = 140 }\n[units]\n";
    let units = |count: usize| {
        let line = |n| format!("\"平{n}\" = {{ station = \"平\", kind = \"PUMP\", crew = 4 }}\n");
        run_fleet(&format!("{station}{}", (0..count).map(line).collect::<String>()), "")
    };
    assert_eq!(units(UNITS_MAX), "sound");
    assert!(units(UNITS_MAX + 1).contains("1001 units are in the register"));
    let stations = |count: usize| {
        let line = |n| format!("\"平{n}\" = {{ lat = 37.0, lon = 140.0 }}\n");
        run_fleet(&format!("[stations]\n{}", (0..count).map(line).collect::<String>()), "")
    };
    assert_eq!(stations(STATIONS_MAX), "sound");
    assert!(stations(STATIONS_MAX + 1).contains("201 stations are in the register"));
    let plans = |count: usize| {
        let line = |n| format!("\"fire/k{n}\" = {{ first = [] }}\n");
        run_fleet("", &(0..count).map(line).collect::<String>())
    };
    assert!(plans(1).contains("`k0` is no second level of `fire`"));
    assert!(!plans(PLANS_MAX).contains("plans are in the file"));
    assert!(plans(PLANS_MAX + 1).contains("101 plans are in the file"));
    let needs = |count: usize| {
        let need = "{ ability = \"pump\" },".repeat(count);
        run_fleet("", &format!("fire = {{ first = [{need}] }}"))
    };
    assert_eq!(needs(PLAN_NEEDS_MAX), "sound");
    assert!(needs(PLAN_NEEDS_MAX + 1).contains("`first` has 17 entries, 16 are allowed"));
}

#[test]
fn the_demo_has_43_vehicles_with_106_people_on_duty() {
    let Fleet { units, found, plans } = Config::load(&demo()).unwrap().fleet;
    assert_eq!(units.len(), 43);
    let stations: std::collections::BTreeSet<&str> =
        units.iter().map(|unit| unit.station.as_str()).collect();
    assert_eq!(stations.len(), 13);
    // A shared crew is counted once.
    let people = |unit: &hansho_model::UnitEntry| match &unit.cross_staffed_with {
        Some(other) if *other < unit.call_sign => 0,
        _ => u32::from(unit.crew),
    };
    assert_eq!(units.iter().map(people).sum::<u32>(), 106);
    assert_eq!(units[0].call_sign, "平指揮1", "in the order of the file");
    let by_name = |name: &str| units.iter().find(|unit| unit.call_sign == name).unwrap();
    assert_eq!(by_name("平2").cross_staffed_with.as_deref(), Some("平はしご1"));
    assert_eq!(by_name("平はしご1").cross_staffed_with.as_deref(), Some("平2"));
    assert!(by_name("三和救1").abilities.contains(&hansho_model::Ability::Als));
    assert_eq!(found.len(), 4);
    assert_eq!(plans.len(), 16);
    // What a plan asks for, somebody can do.
    for need in plans.iter().flat_map(|plan| &plan.first) {
        assert!(units.iter().any(|unit| unit.abilities.contains(&need.ability)), "{need:?}");
    }
}

#[test]
fn faults_of_devices() {
    let people = "helper-0001 = { name = \"協力員 1\" }\nuser-1 = { name = \"利用者 1\" }";
    let devices = r#"
"4001" = { subscriber = "user-1" }
"sip:4001" = { subscriber = "user-1" }
"dc09:" = { subscriber = "user-1" }
"dc09:4002" = { helpers = ["helper-0002", "helper-0001", "helper-0001"], district = 14 }
"dc09:4a01" = { subscriber = "nobody-here", address = "平字梅本" }
"dc09:4A01" = { subscriber = "user-1", aes_key = "00112233445566778899AABBCCDDEE" }
"dc09:4003" = { subscriber = "user-1", aes_key = "geheim", helper = [] }
"dc09:4004" = { subscriber = "user-1", helpers = ["helper-0001", 7] }
"watch:1" = { subscriber = "user-1", interval_s = 5, zones = [{ name = "自宅", lat = 91, lon = "x" }] }
"watch:2" = { subscriber = "user-1", zones = [{ name = "a", lat = 37.1, lon = 140.9, radius_m = 10 }, { name = " ", lat = 37, lon = -140.95, radius_m = 200 }] }
"watch:3" = { subscriber = "user-1", zones = [{ name = "a", lat = 37, lon = 140, radius_m = 20 }, { name = "a", lat = 37, lon = 140, radius_m = 20 }] }
"watch:4" = { subscriber = "user-1", zones = 3 }
"#;
    let text = run(SITE, people, devices);
    assert!(!text.contains("geheim") && !text.contains("00112233"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn faults_of_syntax_are_all_shown_and_nothing_is_said_to_be_missing() {
    let twice = "a = { name = \"利用者\" }\na = { name = \"利用者\" }\n";
    let devices = "\"dc09:1\" = { subscriber = \"b\" }\n";
    let text = run("mode = \"demo\nheadquarters = x\n[listen\n", twice, devices);
    insta::assert_snapshot!(text);
}

#[test]
fn files_that_cannot_be_read_name_themselves() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("people.toml"), b"a = { name = \"\x82\xa0\" }").unwrap();
    fs::create_dir(dir.path().join("devices.toml")).unwrap();
    let text = Config::load(dir.path()).unwrap_err().to_string();
    insta::assert_snapshot!(text.replace(dir.path().to_str().unwrap(), "config"));
    assert_eq!(check_config(dir.path()).len(), 3);
}

#[test]
fn limits_hold_at_and_past() {
    let people = "a = { name = \"利用者\" }\n".to_owned();
    let helper = |n: usize| format!("h{n} = {{ name = \"協力員\" }}\n");
    let people = (0..=HELPERS_MAX).fold(people, |all, n| all + &helper(n));
    let device = |count: usize| {
        let helpers: Vec<String> = (0..count).map(|n| format!("\"h{n}\"")).collect();
        let helpers = helpers.join(", ");
        format!("\"dc09:4001\" = {{ subscriber = \"a\", helpers = [{helpers}] }}")
    };
    assert_eq!(run(SITE, &people, &device(HELPERS_MAX)), "sound");
    assert!(run(SITE, &people, &device(HELPERS_MAX + 1)).contains("16 are allowed"));

    let name = |count: usize| format!("a = {{ name = \"{}\" }}", "名".repeat(count));
    assert_eq!(run(SITE, &name(TEXT_CHARS_MAX), ""), "sound");
    assert!(run(SITE, &name(TEXT_CHARS_MAX + 1), "").contains("200 are allowed"));

    let mail = |count: usize| {
        let all: Vec<String> = (0..count).map(|n| format!("\"a{n}@mail.example.jp\"")).collect();
        format!("a = {{ name = \"x\", mail = [{}] }}", all.join(", "))
    };
    assert_eq!(run(SITE, &mail(MAIL_ADDRESSES_MAX), ""), "sound");
    assert!(run(SITE, &mail(MAIL_ADDRESSES_MAX + 1), "").contains("4 are allowed"));

    let long = "x".repeat(254 - "@mail.example.jp".len());
    assert!(syntax::mail_address(&format!("{long}@mail.example.jp")).is_ok());
    assert!(syntax::mail_address(&format!("{long}x@mail.example.jp")).is_err());
    assert!(syntax::key(&"k".repeat(64)).is_ok() && syntax::key(&"k".repeat(65)).is_err());
    let source = |count: usize| format!("dc09:{}", "1".repeat(count));
    assert!(syntax::source_name(&source(32)).is_ok());
    assert!(syntax::source_name(&source(33)).is_err());
}

#[test]
fn addresses_that_live_are_taken() {
    for address in ["a..b@docomo.example.jp", ".a@docomo.example.jp", "a.@docomo.example.jp"] {
        assert_eq!(syntax::mail_address(address), Ok(address));
    }
    for address in [
        "",
        "@a.example",
        "a@",
        "a@b",
        "a,b@c.example",
        "a@b@c.example",
        "a@-b.example",
        "あ@b.example",
    ] {
        assert!(syntax::mail_address(address).is_err(), "{address}");
    }
}

#[test]
fn password_hashes_are_looked_at_closely() {
    let good = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$aGFzaGhhc2hoYXNoaGFzaGhhc2g";
    assert!(syntax::password_hash(good, 19_456).is_ok());
    for bad in [
        good.replace("argon2id", "argon2i"),
        good.replace("v=19", "v=16"),
        good.replace("m=19456", "m=19455"),
        good.replace("m=19456", "m=1048577"),
        good.replace("t=2", "t=0"),
        good.replace("p=1", "p=17"),
        good.replace("p=1", "q=1"),
        good.replace("c29tZXNhbHRzb21l", "c29tZXNhbH"),
        good.replace("aGFz", "aGF="),
        good.replace("$aGFzaGhhc2hoYXNoaGFzaGhhc2g", ""),
        format!("{good}$more"),
    ] {
        assert!(syntax::password_hash(&bad, 19_456).is_err(), "{bad}");
    }
}

#[test]
fn ports_shift_together_or_not_at_all() {
    let mut site = Config::load(&demo()).unwrap().site;
    site.shift_ports(20_000).unwrap();
    assert_eq!(site.console.port(), 28_119);
    assert_eq!(site.doors["dc09"].port(), 25_009);
    assert_eq!(site.mail.as_ref().unwrap().relay, "127.0.0.1:22525");
    assert_eq!(site.answer_url, "http://127.0.0.1:28119");
    let error = site.shift_ports(40_000).unwrap_err();
    assert_eq!(
        error.to_string(),
        "port 28119 plus 40000 is past 65535; choose a smaller port base"
    );
    assert_eq!((site.console.port(), site.doors["dc09"].port()), (28_119, 25_009));

    site.mail.as_mut().unwrap().relay = "relay.example.jp:25".to_owned();
    site.answer_url = "https://answer.example.jp".to_owned();
    site.console.set_port(0);
    site.shift_ports(1).unwrap();
    assert_eq!(site.mail.unwrap().relay, "relay.example.jp:25", "not a port of this machine");
    assert_eq!((site.answer_url.as_str(), site.console.port()), ("https://answer.example.jp", 0));
}

#[test]
fn a_device_has_the_name_under_which_it_reports() {
    let dir = tempfile::tempdir().unwrap();
    let device = "{ subscriber = \"a\" }";
    let devices = format!("\"dc09:4a0b\" = {device}\n\"dc09:foC1\" = {device}\n");
    fs::write(dir.path().join("hansho.toml"), SITE).unwrap();
    fs::write(dir.path().join("people.toml"), "a = { name = \"利用者\" }").unwrap();
    fs::write(dir.path().join("devices.toml"), devices).unwrap();
    let config = Config::load(dir.path()).unwrap();
    let names: Vec<&str> = config.devices.keys().map(String::as_str).collect();
    assert_eq!(names, ["dc09:4A0B", "dc09:FOC1"]);
}

#[test]
fn the_demo_is_the_invented_city() {
    let config = Config::load(&demo()).unwrap_or_else(|error| panic!("{error}"));
    let mut pendants: BTreeMap<u8, usize> = BTreeMap::new();
    let is_pendant = |name: &&String| name.starts_with("dc09:");
    for (name, device) in &config.devices {
        if name.starts_with("mqtt:") {
            continue;
        }
        assert!((2..=3).contains(&device.helpers.len()));
        if !is_pendant(&name) {
            assert_eq!((device.zones.len(), device.zones[0].name.as_str()), (1, "自宅"));
            continue;
        }
        *pendants.entry(device.district.unwrap().0).or_default() += 1;
    }
    let counts: Vec<usize> = pendants.into_values().collect();
    assert_eq!(counts, [110, 78, 58, 38, 30, 20, 10, 10, 14, 9, 6, 5, 12]);
    let accounts = (4_001..=4_400).map(|account| format!("dc09:{account}"));
    assert!(accounts.eq(config.devices.keys().filter(is_pendant).cloned()));
    let trackers = (1..=12).map(|number| format!("watch:88000000{number:02}"));
    let watches = config.devices.keys().filter(|name| name.starts_with("watch:"));
    assert!(trackers.eq(watches.cloned()));
    for name in ["p-7001", "p-7002", "t-8001", "t-8002"] {
        let login = config.devices[&format!("mqtt:{}", name.to_uppercase())].login.unwrap();
        assert_eq!(
            login.password_hash,
            *blake3::hash(format!("hansho-demo-{name}").as_bytes()).as_bytes()
        );
    }
    let home = &config.devices["dc09:4007"].address.as_ref().unwrap().0;
    assert!(home.starts_with("三和町差塩 架空"), "利用者 0007 lives there");
    let ciphers = config.devices.values().filter(|device| device.aes_key.is_some()).count();
    assert_eq!(ciphers, 9);
    let log_ins: Vec<&str> =
        config.people.values().filter_map(|p| p.login.as_ref()).map(|l| l.user.as_str()).collect();
    let wanted = ["admin1", "dispatcher1", "dispatcher2", "manager1", "supervisor1", "viewer1"];
    assert_eq!(log_ins, wanted);
    assert_eq!(config.site.unknown_devices, UnknownDevices::Show);
}

#[test]
fn every_file_of_the_demo_warns_that_it_is_invented() {
    for name in ["hansho.toml", "people.toml", "devices.toml"] {
        let text = fs::read_to_string(demo().join(name)).unwrap();
        assert!(text.contains("デモ・実際の災害ではありません"), "{name}");
    }
    let site = Config::load(&demo()).unwrap().site;
    assert_eq!(site.headquarters, "ハンショウ市消防本部(架空)");
    assert_eq!(site.mail.unwrap().sender, "demo@hansho.example.jp");
}

#[test]
fn the_demos_credentials_open_its_log_ins() {
    use argon2::password_hash::{PasswordVerifier, phc::PasswordHash};
    let config = Config::load(&demo()).unwrap();
    let text = fs::read_to_string(demo().join("credentials.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let logins: Vec<&Login> = config.people.values().filter_map(|p| p.login.as_ref()).collect();
    let entries = table["login"].as_array().unwrap();
    assert_eq!(entries.len(), logins.len());
    for entry in entries {
        let field = |name: &str| entry[name].as_str().unwrap();
        let login = logins.iter().find(|login| login.user == field("user")).unwrap();
        assert_eq!(login.role.as_str(), field("role"));
        let hash = PasswordHash::new(&login.password_hash).unwrap();
        argon2::Argon2::default().verify_password(field("password").as_bytes(), &hash).unwrap();
        let token = *blake3::hash(field("token").as_bytes()).as_bytes();
        assert_eq!(login.token_hash, Some(token));
    }
    assert_eq!(table["token"].as_str(), Some("hansho-demo-token-dispatcher1"));
}

#[test]
fn faults_of_mqtt() {
    let people = "user-1 = { name = \"利用者 1\" }";
    let hash = "a".repeat(64);
    let device = |rest: &str| format!("\"mqtt:p-7001\" = {{ subscriber = \"user-1\"{rest} }}\n");
    let sound = device(&format!(
        ", password_blake3 = \"{hash}\", kind = \"tracker\", class = \"telemetry\""
    ));
    assert_eq!(run(SITE, people, &sound), "sound");
    let devices = [
        device(""),
        device(
            ", password_blake3 = \"geheim\", kind = \"siren\", class = \"state\", aes_key = \"00\"",
        )
        .replace("7001", "7002"),
        format!("\"dc09:4001\" = {{ subscriber = \"user-1\", password_blake3 = \"{hash}\" }}"),
    ];
    let site = SITE
        .replace("training", "real")
        .replace("[listen]", "[listen]\nmqtts = \"127.0.0.1:8883\"");
    let site = format!(
        "{site}\n\
         [[foreign_broker]]\nname = \"vendor\"\nserver = \"mqtt.example.jp\"\nclient_id = \"hq\"\n\
         topics = {{ \"v/+/alarm\" = \"alarm\", \"v/#\" = \"state\", \"v/+/x\" = \"siren\" }}\n\
         [[foreign_broker]]\nname = \"Vendor\"\nuser = \"u\"\n"
    );
    let text = run(&site, people, &devices.concat());
    assert!(!text.contains("geheim") && !text.contains("aaaa"), "{text}");
    insta::assert_snapshot!(text);
}
