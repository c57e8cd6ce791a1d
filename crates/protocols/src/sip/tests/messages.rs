//! Messages, streams and bodies, in the spirit of RFC 4475.

use hansho_model::LocationFault;
use jiff::Timestamp;

use crate::sip::message::{Flaw, HEAD_SIZE_MAX, Message};
use crate::sip::multipart::{NESTING_MAX, PART_COUNT_MAX, Parts};
use crate::sip::pidf;
use crate::sip::stream::{Framed, Framer};

fn now() -> Timestamp {
    "2026-04-01T00:00:30Z".parse().unwrap()
}

fn parse(text: &str) -> Message {
    Message::parse(text.as_bytes()).unwrap()
}

const GOOD: &str = "INVITE urn:service:sos SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\n\
                    From: <sip:a@b>;tag=1\r\nTo: <urn:service:sos>\r\nCall-ID: a@b\r\nCSeq: 1 INVITE\r\n";

#[test]
fn what_is_short_and_tortuous_is_read() {
    // After RFC 4475, 3.1.1.1: compact names, folded lines, white space in odd places.
    let text = "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n\
        TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n\
        from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n\
        MaX-fOrWaRdS: 0068\r\nCall-ID: wsinv.ndaksdj@192.0.2.1\r\nContent-Length   : 150\r\n\
        cseq: 0009\r\n  INVITE\r\nVia  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\n\
        s :\r\nNewFangledHeader:   newfangled value\r\n continued newfangled value\r\n\
        v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n \
        SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n\
        m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue\r\n\r\n";
    let message = parse(text);
    assert_eq!(message.flaw, None);
    assert_eq!(message.tag("To").as_deref(), Some("1918181833n"));
    assert_eq!(message.tag("From").as_deref(), Some("98asjd8"));
    assert_eq!(message.cseq(), Some((9, "INVITE")));
    assert_eq!(message.via().unwrap().branch(), "390skdjuw");
    assert_eq!(message.first("Subject"), Some(""));
    assert!(message.truncated);
}

#[test]
fn lines_may_end_in_lf_and_odd_lines_are_left_out() {
    let text =
        GOOD.replace("\r\n", "\n") + "no header at all\nX-\u{3042}: 1\nContent-Length: 3\n\nabcdef";
    let message = parse(&text);
    assert_eq!((message.flaw, message.body.as_slice()), (None, b"abc".as_slice()));
    assert_eq!(message.headers.len(), 6);
}

#[test]
fn what_is_wrong_is_named() {
    let flaw = |from: &str, to: &str| parse(&format!("{}\r\n", GOOD.replacen(from, to, 1))).flaw;
    assert_eq!(flaw("x", "x"), None);
    assert_eq!(flaw("CSeq: 1 INVITE", "CSeq: 1 ACK"), Some(Flaw::Method));
    assert_eq!(
        flaw("CSeq: 1 INVITE", "CSeq: 36893488147419103232 INVITE"),
        Some(Flaw::Header("CSeq"))
    );
    assert_eq!(flaw("CSeq: 1 INVITE", "CSeq: INVITE"), Some(Flaw::Header("CSeq")));
    assert_eq!(flaw("To: <urn:service:sos>\r\n", ""), Some(Flaw::Header("To")));
    assert_eq!(flaw("To: <urn:service:sos>", "To: \"Mr. J. <sip:a@b>"), Some(Flaw::Header("To")));
    assert_eq!(flaw("Call-ID: a@b", "Call-ID: a@b\r\ni: c@d"), Some(Flaw::Header("Call-ID")));
    assert_eq!(flaw("SIP/2.0/UDP", "SIP/7.0/UDP"), Some(Flaw::Header("Via")));
    assert_eq!(flaw(" SIP/2.0\r\n", " SIP/7.0\r\n"), Some(Flaw::Version));
    assert_eq!(flaw(" urn:", " <urn:"), Some(Flaw::Header("Request-URI")));
    assert_eq!(flaw("CSeq", "Content-Length: -9\r\nCSeq"), Some(Flaw::Length));
    assert_eq!(flaw("CSeq", "Content-Length: 0\r\nl: 1\r\nCSeq"), Some(Flaw::Length));
    for text in ["", "\r\n\r\n", "hello\r\n\r\n", "INVITE sip:a@b\r\n\r\n", "SIP/2.0 99 No\r\n\r\n"]
    {
        assert!(Message::parse(text.as_bytes()).is_err(), "{text}");
    }
    let endless = format!("{GOOD}X: {}\r\n\r\n", "a".repeat(HEAD_SIZE_MAX));
    assert!(Message::parse(endless.as_bytes()).is_err());
}

#[test]
fn no_sign_of_a_value_breaks_the_lines_of_an_answer() {
    let message = parse(&format!("{GOOD}Subject: a\rTo: <sip:x@y>\0\x0bb\r\n\r\n"));
    assert_eq!(message.flaw, None);
    assert_eq!(message.first("Subject"), Some("a To: <sip:x@y>  b"));
    assert_eq!(
        parse(&GOOD.replace("service:sos SIP", "service:\rsos SIP")).flaw,
        Some(Flaw::Header("Request-URI"))
    );
}

#[test]
fn what_is_written_reads_back() {
    let message = parse(&format!("{GOOD}Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nab"));
    let again = Message::parse(&message.encode()).unwrap();
    assert_eq!(again.body, message.body);
    assert_eq!(again.start, message.start);
    assert_eq!(again.encode(), message.encode());
}

fn frames(framer: &mut Framer, bytes: &[u8]) -> Vec<String> {
    let word = |framed| match framed {
        Framed::Message(message, raw) => {
            let cut = if message.truncated { " cut" } else { "" };
            format!("{} {}{cut}", message.body.len(), raw.len())
        }
        Framed::Fault(error) => error.fault.to_string(),
    };
    framer.push(now(), bytes).into_iter().map(word).collect()
}

#[test]
fn a_stream_is_parted_by_its_lengths() {
    let one = format!("{GOOD}Content-Length: 5\r\n\r\nabcde");
    let text = format!("\r\n\r\n{one}\r\n{GOOD}\r\n{one}");
    let wanted =
        [format!("5 {}", one.len()), format!("0 {}", GOOD.len() + 2), format!("5 {}", one.len())];
    assert_eq!(frames(&mut Framer::default(), text.as_bytes()), wanted);
    let mut framer = Framer::default();
    let single: Vec<String> = text.bytes().flat_map(|byte| frames(&mut framer, &[byte])).collect();
    assert_eq!(single, wanted);
    assert_eq!(framer.unfinished_since, None);
}

#[test]
fn ten_megabytes_are_dropped_as_they_come_and_the_call_is_read() {
    let head = format!("{GOOD}Content-Length: 10000000\r\n\r\n");
    let mut framer = Framer::default();
    assert_eq!(frames(&mut framer, head.as_bytes()), [format!("0 {} cut", head.len())]);
    let block = vec![b'x'; 100_000];
    for _block in 0..100 {
        assert_eq!(frames(&mut framer, &block), [""; 0]);
        assert_eq!(framer.unfinished_since, None, "nothing is kept");
    }
    let good = format!("{GOOD}\r\n");
    assert_eq!(frames(&mut framer, good.as_bytes()), [format!("0 {}", good.len())]);
}

#[test]
fn a_stream_that_is_no_sip_ends() {
    assert_eq!(frames(&mut Framer::default(), b"GET / HTTP/1.1\r\n\r\n"), ["malformed_header"]);
    assert_eq!(frames(&mut Framer::default(), &[b'a'; HEAD_SIZE_MAX]), ["too_long"]);
    let mut framer = Framer::default();
    let head = format!("{GOOD}Content-Length: many\r\n\r\n");
    assert_eq!(
        frames(&mut framer, head.as_bytes()),
        [format!("0 {}", head.len()), "bad_length".to_owned()]
    );
    assert_eq!(frames(&mut framer, GOOD.as_bytes()), [""; 0]);
}

fn body(content_type: &str, body: &str) -> Parts {
    let length = body.len();
    let head = format!("{GOOD}Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n");
    Parts::of(&parse(&format!("{head}{body}")))
}

#[test]
fn parts_are_counted_and_their_nesting_is_bounded() {
    let many = "--b\r\n\r\nx\r\n".repeat(PART_COUNT_MAX + 5);
    let parts = body("multipart/mixed;boundary=b", &many);
    assert_eq!((parts.leaves.len(), parts.cut), (PART_COUNT_MAX, true));
    let nested = |depth: usize| {
        let mut text = "--b0\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b0--\r\n".to_owned();
        for level in 1..depth {
            let inner = level - 1;
            text = format!(
                "--b{level}\r\nContent-Type: multipart/mixed; boundary=b{inner}\r\n\r\n{text}\r\n--b{level}--\r\n"
            );
        }
        let parts = body(&format!("multipart/mixed; boundary=b{}", depth - 1), &text);
        (parts.leaves.len(), parts.cut)
    };
    assert_eq!(nested(NESTING_MAX), (1, false));
    assert_eq!(nested(NESTING_MAX + 1), (0, true));
}

#[test]
fn parts_keep_their_bytes() {
    let text = "before\r\n--b\r\nContent-Type: Application/SDP; x=y\r\ncontent-id: <a@b>\r\n\r\nv=0\r\n\r\n\
                --b \r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3D=\r\nb=zz\n--b--\r\nafter";
    let parts = body("Multipart/Mixed; a=\"x\"; Boundary=\"b\"", text);
    let content: Vec<&[u8]> = parts.leaves.iter().map(|part| part.content.as_slice()).collect();
    assert_eq!(content, [b"v=0\r\n".as_slice(), b"a=b=zz".as_slice()]);
    assert_eq!(parts.leaves[0].media_type, "application/sdp");
    assert_eq!(parts.by_cid("cid:a%40b"), parts.leaves.first());
    assert_eq!(parts.leaves[1].media_type, "text/plain");
}

#[test]
fn a_document_that_is_deep_or_large_is_refused() {
    let deep = "<a>".repeat(20_000);
    assert_eq!(pidf::read(deep.as_bytes()).unwrap_err().fault, LocationFault::Xml);
    let large = vec![b' '; 65_537];
    assert_eq!(pidf::read(&large).unwrap_err().fault, LocationFault::Size);
    let declared = b"<!doctype presence []><presence/>";
    assert_eq!(pidf::read(declared).unwrap_err().fault, LocationFault::Dtd);
    assert_eq!(pidf::read(b"\xff\xfe<\x00").unwrap_err().fault, LocationFault::Xml);
}
