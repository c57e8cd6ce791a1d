use super::*;

/// The shared conformance files: `HANSHO_SHARED`, or a folder beside the project's root.
fn shared() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("HANSHO_SHARED")
        .map_or_else(|| root.join("../shared"), |path| root.join(PathBuf::from(path)));
    shared.is_dir().then_some(shared)
}

/// Cases whose file is wrong, with what is wrong; `run` reports them all the same.
const WRONG_CASES: &[&str] = &[
    // Its plain text ends in `_08:52:12,11-23-2026` (two unrelated AES libraries agree); the file
    // expects 08:52:13.
    "dc09-reply/ack-aes-pkcs7-tail",
];

#[test]
fn the_shared_files_of_our_kinds_all_pass() {
    let Some(shared) = shared() else {
        println!("skipped: there is no ../shared and HANSHO_SHARED names none");
        return;
    };
    let mut summary =
        run(&[shared.join("vectors/pendants"), shared.join("vectors/trackers/watch.jsonl")]);
    summary.failed.retain(|failure| !WRONG_CASES.contains(&failure.name.as_str()));
    assert!(summary.failed.is_empty(), "\n{summary}");
    assert!(summary.passed > 0, "{summary}");
    let summary = run(&[shared.join("vectors/calls")]);
    assert!(summary.failed.is_empty(), "\n{summary}");
    // What is read: documents, headers and requests. Skipped are short messages and servers' answers.
    assert!(summary.passed >= 91 && summary.skipped <= 36, "{summary}");
    let summary = run(&[shared.join("vectors/satphones/sbd.jsonl")]);
    assert!(summary.failed.is_empty(), "\n{summary}");
    assert!(summary.passed >= 72 && summary.skipped == 0, "{summary}");
    let summary = run(&[shared.join("vectors/cap")]);
    assert!(summary.failed.is_empty(), "\n{summary}");
    assert!(summary.passed >= 56 && summary.skipped == 0, "{summary}");
}

fn one(line: &str) -> String {
    let (name, outcome) = run_line(Path::new(""), line);
    match outcome {
        Outcome::Passed => format!("{name} passed"),
        Outcome::Skipped => format!("{name} skipped"),
        Outcome::Failed(mismatch) => format!("{name} failed: {mismatch}"),
    }
}

#[test]
fn damaged_lines_fail_and_unknown_kinds_are_skipped() {
    assert_eq!(one(r#"{"protocol":"morse","name":"sos"}"#), "morse/sos skipped");
    assert_eq!(one(r#"{"file":"a.xml"}"#), "-/- skipped");
    assert!(one("{").starts_with("- failed: line: expected a JSON object"));
    assert!(one("[]").starts_with("- failed: line: expected a JSON object"));
    let pendants = ["dc09", "dc09-reply", "dc09-stream", "dc09-repeat", "watch"];
    let modems = ["sbdwb", "sbdrb", "sbdix", "sbdsx", "urc", "msstm", "msstm.encode", "msgeo"];
    let modems = modems.map(|kind| format!("iridium.{kind}"));
    for kind in pendants.into_iter().chain(modems.iter().map(String::as_str)) {
        let found = one(&format!(r#"{{"protocol":"{kind}","name":"x"}}"#));
        assert!(found.starts_with(&format!("{kind}/x failed")), "{found}");
    }
    for kind in ["pidf-lo", "geolocation-header", "sip-request"] {
        let found = one(&format!(r#"{{"kind":"{kind}","id":"x"}}"#));
        assert!(found.starts_with(&format!("{kind}/x failed")), "{found}");
    }
    assert_eq!(one(r#"{"kind":"aml-sms","id":"x"}"#), "aml-sms/x skipped");
    let sms = r#"{"protocol":"sms.deliver","name":"x"}"#;
    assert_eq!(one(sms), "sms.deliver/x skipped");
}

/// A good case, and the same with one thing said wrong: the runner must see each.
#[test]
fn a_case_that_says_something_else_fails() {
    let case = |expect: &str| {
        one(&format!(
            r#"{{"protocol":"dc09","name":"x","config":{{"accounts":{{"4901":{{"key_hex":null}}}},"now":"2026-04-01T00:00:30Z"}},"input_hex":"0a43463437303031332265554c4c223030303030","expect":{expect}}}"#,
        ))
    };
    assert!(case(r#"{"error":"bad_frame","reply":null}"#).ends_with("passed"));
    assert!(case(r#"{"error":"bad_crc","reply":null}"#).contains("failed: error"));
    assert!(case(r#"{"id":"NULL"}"#).contains("failed: error"));
    let null = |expect: &str| {
        one(&format!(
            r#"{{"protocol":"dc09","name":"x","config":{{"accounts":{{"4901":{{"key_hex":null}}}},"now":"2026-04-01T00:00:30Z"}},"input_hex":"0a434634373030313322{}0d","expect":{expect}}}"#,
            "4e554c4c22303030304c3023343930315b5d",
        ))
    };
    assert!(null(r#"{"id":"NULL","sequence":"0000","reply":{"id":"ACK"}}"#).ends_with("passed"));
    assert!(null(r#"{"id":"XNM"}"#).contains("failed: id"));
    assert!(null(r#"{"id":"NULL","event":{"format":"CID"}}"#).contains("failed: event"));
    assert!(null(r#"{"id":"NULL","reply":{"id":"DUH"}}"#).contains("failed: reply.id"));
    assert!(null(r#"{"id":"NULL","reply":null}"#).contains("failed: reply"));
    assert!(
        null(r#"{"id":"NULL","reply":{"text":"\n0F250012\"ACK\"0001L0#4901[]\r"}}"#)
            .contains("failed")
    );
    assert!(null(r#"{"error":"unknown_account"}"#).contains("failed: error"));
}

/// The same for trackers.
#[test]
fn a_tracker_that_says_something_else_fails() {
    // [3G*1*000C*LK,50,100,85]
    let case = |expect: &str| {
        one(&format!(
            r#"{{"protocol":"watch","kind":"decode","name":"x","frames":[{{"wire_hex":"5b33472a312a303030432a4c4b2c35302c3130302c38355d","expect":{expect}}}]}}"#,
        ))
    };
    let reply = r#""replies":[{"hex":"5b33472a312a303030322a4c4b5d"}]"#;
    let report = r#"{"fix":null,"alarms":[],"battery_pct":85,"steps":50}"#;
    assert!(
        case(&format!(r#"{{"reports":[{report}],{reply},"device_id":"1"}}"#)).ends_with("passed")
    );
    assert!(case(&format!(r#"{{"reports":[{report}],"replies":[]}}"#)).contains("failed: replies"));
    assert!(case(&format!(r#"{{"reports":[],{reply}}}"#)).contains("failed: count of reports"));
    assert!(
        case(&format!(r#"{{"reports":[{report}],{reply},"device_id":"2"}}"#)).contains("device_id")
    );
    let sos = report.replace("[]", r#"["sos"]"#);
    assert!(case(&format!(r#"{{"reports":[{sos}],{reply}}}"#)).contains("failed: alarms"));
    let full = report.replace("85", "86");
    assert!(case(&format!(r#"{{"reports":[{full}],{reply}}}"#)).contains("failed: battery_pct"));
    let placed = report.replace(r#""fix":null"#, r#""fix":{"valid":true}"#);
    assert!(case(&format!(r#"{{"reports":[{placed}],{reply}}}"#)).contains("failed: has a fix"));
}

/// The same for satellite modems.
#[test]
fn a_modem_that_says_something_else_fails() {
    let case = |kind: &str, input: &str, expect: &str| {
        let line =
            format!(r#"{{"protocol":"iridium.{kind}","name":"x",{input},"expect":{{{expect}}}}}"#);
        let found = one(&line);
        found.trim_start_matches(&format!("iridium.{kind}/x ")).to_owned()
    };
    let load = |expect| case("sbdwb", r#""input_hex":"6869""#, expect);
    assert_eq!(
        load(r#""command":"AT+SBDWB=2\r","after_ready_hex":"686900d1","result":"0""#),
        "passed"
    );
    assert!(load(r#""result":"2""#).starts_with("failed: result"));
    assert!(load(r#""checksum":1"#).starts_with("failed: checksum"));
    assert!(load(r#""colour":"red""#).starts_with("failed: colour"));
    let read = |expect| case("sbdrb", r#""input_hex":"0002686900d1""#, expect);
    assert_eq!(read(r#""length":2,"payload_hex":"6869","checksum_ok":true"#), "passed");
    assert!(read(r#""payload_hex":"6868""#).starts_with("failed: payload_hex"));
    assert!(read(r#""error":true"#).starts_with("failed: error"));
    let cut = |expect| case("sbdrb", r#""input_hex":"00026869""#, expect);
    assert_eq!(cut(r#""length":2,"checksum_ok":false,"error":true"#), "passed");
    let session = |expect| case("sbdix", r#""input_text":"+SBDIX: 32, 5, 2, 0, 0, 0""#, expect);
    assert_eq!(session(r#""mo_status":32,"class":"retry_wait_service","mo_ok":false"#), "passed");
    assert!(session(r#""class":"retry""#).starts_with("failed: class"));
    let broken = |expect| case("sbdix", r#""input_text":"+SBDIX: 32, 5""#, expect);
    assert_eq!(broken(r#""error":true"#), "passed");
    assert!(broken(r#""mo_status":32"#).starts_with("failed: mo_status"));
    let status =
        |expect| case("sbdsx", r#""input_text":"+SBDSX: 1,2,0,-1,0,3\r\n\r\nOK\r\n""#, expect);
    assert_eq!(status(r#""mo_flag":1,"mtmsn":-1,"msg_waiting":3"#), "passed");
    assert!(status(r#""ra_flag":1"#).starts_with("failed: ra_flag"));
    let clock = |expect| case("msstm", r#""input_text":"-MSSTM: 24fa3b00""#, expect);
    assert_eq!(clock(r#""utc":{"ERA3":"2026-11-22T23:42:36.200Z"}"#), "passed");
    assert!(clock(r#""utc":{"ERA2":"2026-11-22T23:42:36.200Z"}"#).starts_with("failed: ERA2"));
    let input = r#""input_text":"2026-11-22T23:42:36.250Z","era":"ERA3""#;
    assert_eq!(case("msstm.encode", input, r#""line":"-MSSTM: 24fa3b00""#), "passed");
    let place = |expect| case("msgeo", r#""input_text":"-MSGEO: -3948,3212,3840""#, expect);
    assert_eq!(place(r#""x":-3948,"lat_geocentric":37.034,"lon":140.869"#), "passed");
    assert!(place(r#""lat_geocentric":37.05"#).starts_with("failed: lat_geocentric"));
    assert_eq!(case("urc", r#""input_text":"SBDRING""#, r#""event":"sbd_ring""#), "passed");
}

/// The same for alerts, whose documents stand beside the file.
#[test]
fn an_alert_that_says_something_else_fails() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let alert = "<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'><identifier>a</identifier><sender>b</sender><sent>2026-11-23T08:45:00+09:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope></alert>";
    put("good.xml", alert.as_bytes());
    put("type.xml", b"<!DOCTYPE a><a/>");
    put("broken.xml", b"<a>");
    put("7bit.xml", b"<?xml version='1.0' encoding='ISO-2022-JP'?><a/>");
    let case = |file: &str, rest: &str| {
        let line = format!(r#"{{"file":"{file}",{rest}}}"#);
        let (name, outcome) = run_line(folder.path(), &line);
        assert_eq!(name, format!("cap/{file}"));
        match outcome {
            Outcome::Passed => "passed".to_owned(),
            Outcome::Skipped => "skipped".to_owned(),
            Outcome::Failed(mismatch) => mismatch.to_string(),
        }
    };
    let good = |more: &str, accept: &str| {
        let fields = r#""well_formed":true,"root":"alert","namespace":"urn:oasis:names:tc:emergency:cap:1.2","cap_version":"1.2","xsd12_valid":true,"identifier":"a","sender":"b","sent":"2026-11-23T08:45:00+09:00","status":"Actual","msgType":"Alert","scope":"Public","signed":false"#;
        case("good.xml", &format!(r#""expect":{{{fields}{more}}}{accept}"#))
    };
    assert_eq!(good(r#","info":[]"#, r#","accept":true"#), "passed");
    assert_eq!(good("", ""), "expect.info: expected nothing, found []");
    assert_eq!(good(r#","info":[],"note":"""#, ""), "expect.note: expected \"\", found nothing");
    assert!(good(r#","info":[]"#, r#","accept":false"#).starts_with("accept: expected that"));
    assert!(good(r#","info":[{}]"#, "").starts_with("expect.info: expected"));
    let doctype = r#""expect":{"well_formed":true,"has_doctype":true}"#;
    assert_eq!(case("type.xml", &format!(r#"{doctype},"accept":false"#)), "passed");
    assert!(case("broken.xml", doctype).starts_with("expect.has_doctype: expected true"));
    assert_eq!(case("broken.xml", r#""expect":{"well_formed":false}"#), "passed");
    // It may be refused; what cannot be read may not.
    assert_eq!(case("7bit.xml", r#""expect":{"well_formed":true},"accept":true"#), "passed");
    let bytes = r#""bytes":4,"expect":{"well_formed":false}"#;
    assert_eq!(case("broken.xml", bytes), "bytes: expected 4, found 3");
    let other = r#""expect":{"well_formed":true}"#;
    assert!(case("../good.xml", other).starts_with("file: expected the name of a file beside"));
    assert!(case("none.xml", other).starts_with("file: expected a readable file"));
}

#[test]
fn files_that_cannot_be_run_are_told_apart() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let missing = run(&[here.join("no such file.jsonl"), here.join("no such folder")]);
    assert_eq!((missing.passed, missing.failed.len(), missing.skipped), (0, 2, 0));
    let other = run(&[here.join("Cargo.toml")]);
    assert_eq!(other.to_string(), "0 passed, 0 failed, 1 skipped");
}

#[test]
fn the_bench_decodes_hexadecimal_lines_and_raw_bytes() {
    let accounts = Arc::default();
    let now = "2026-04-01T00:00:30Z".parse().unwrap();
    let protocol = Protocol::Dc09;
    let decode = |input: &[u8]| decode(protocol, &accounts, now, input);
    let raw = b"\nCF470013\"NULL\"0000L0#4901[]\r\nCF480013\"NULL\"0000L0#4901[]\r";
    let lines = decode(raw);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains(r#""id":"NULL""#), "{}", lines[0]);
    assert!(lines[1].contains(r#""error":"bad_crc""#), "{}", lines[1]);
    let hex = "0a434634373030313322 4e554c4c22303030304c3023343930315b5d 0d\n\n0a00\n";
    let lines = decode(hex.as_bytes());
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains(r#""account":"4901""#), "{}", lines[0]);
    assert!(lines[1].contains(r#""error":"bad_frame""#), "{}", lines[1]);
    assert!(decode(b"").is_empty());
}

#[test]
fn the_bench_decodes_watches() {
    let accounts = Arc::new(Accounts::new(UnknownDevices::Show));
    let now = "2026-11-23T05:40:50Z".parse().unwrap();
    let decode = |input: &[u8]| decode(Protocol::Watch, &accounts, now, input);
    let place = "231126,054048,A,37.1096,N,140.9821,E,3.7,120,15,9,80,67,12,0,00010001,0,0";
    // The length is wrong, as it often is.
    let lines =
        decode(format!("[3G*8800000003*0100*AL,{place}]\r\n[3G*8800000003*0002*LK]").as_bytes());
    assert_eq!(lines.len(), 2, "{lines:?}");
    for part in
        [r#""device":"8800000003""#, r#""kind":"help""#, r#""lat_e7":371096000"#, "*0002*AL]"]
    {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
    let lines = decode(b"5b33472a312a303030322a4c4b5d\n5b33472a312a303030322a4c");
    assert!(lines[0].contains("[3G*1*0002*LK]") && lines[1].contains("bad_frame"), "{lines:?}");
}

#[test]
fn the_bench_decodes_what_mosquitto_sub_prints() {
    let accounts = Arc::new(Accounts::new(UnknownDevices::Show));
    let now = "2026-11-23T05:40:50Z".parse().unwrap();
    let input =
        b"hansho/v1/pendant/p-1/alarm {\"n\":1,\"alarms\":[{\"kind\":\"help\"}]}\nsiren on\n";
    let lines = decode(Protocol::Mqtt, &accounts, now, input);
    assert!(
        lines[0].contains(r#""device":"P-1""#) && lines[0].contains(r#""lane":"A""#),
        "{}",
        lines[0]
    );
    assert!(lines[1].contains("malformed_header") && lines.len() == 2, "{}", lines[1]);
}
