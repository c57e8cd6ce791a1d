use std::net::Ipv4Addr;

use tokio::net::UdpSocket;

use super::*;
use crate::phone::{Manner, Phone, Stage};

const ANSWER_SOON: Manner = Manner::Answer(Duration::from_millis(50));

async fn phone(manner: Manner, talk: Option<u64>) -> Phone {
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    Phone::start(any, manner, talk.map(Duration::from_millis)).await.unwrap()
}

fn plan(hang_up_after: Option<u64>) -> Plan {
    let hang_up_after = hang_up_after.map(Duration::from_millis);
    Plan { hang_up_after, talk: Duration::from_millis(50), ..Plan::default() }
}

/// What both sides make of a call, over both transports.
async fn play(manner: Manner, talk: Option<u64>, plan: &Plan, end: &str, stage: Stage) {
    for link in [Link::Udp, Link::Tcp] {
        let mut phone = phone(manner, talk).await;
        let outcome = call(phone.address(), link, plan).await;
        let said = outcome.to_string();
        assert!(said.contains(end), "{link:?}: {said}");
        assert_eq!(outcome.repeats, 0, "{link:?}: {said}");
        while phone.calls().get(&outcome.id) != Some(&stage) {
            phone.next().await.unwrap();
        }
    }
}

#[tokio::test]
async fn calls_end_in_every_way() {
    play(ANSWER_SOON, None, &plan(None), "hung up here", Stage::HungUpThere).await;
    play(ANSWER_SOON, Some(10), &plan(Some(5_000)), "hung up there", Stage::HungUp).await;
    play(Manner::RingOn, None, &plan(Some(50)), "abandoned", Stage::Cancelled).await;
    play(Manner::Refuse(486), None, &plan(None), "refused with 486", Stage::Refused).await;
    let patience = Duration::from_millis(50);
    let impatient = Plan { patience, ..plan(None) };
    play(Manner::RingOn, None, &impatient, "given up", Stage::Cancelled).await;
}

#[tokio::test]
async fn what_was_asked_is_known() {
    let phone = phone(Manner::RingOn, None).await;
    let plan = plan(Some(20));
    let outcome = call(phone.address(), Link::Udp, &plan).await;
    assert!(outcome.is_as_asked(&plan));
    assert!(!outcome.is_as_asked(&Plan::default()));
    assert!(outcome.ringing.is_some() && outcome.answered.is_none());
}

#[tokio::test]
async fn a_call_is_repeated_until_somebody_hears_it() {
    let phone = phone(ANSWER_SOON, None).await;
    let wall = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = wall.local_addr().unwrap();
    let there = phone.address();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        // Loses the first of every kind of request, passes all else on.
        let (mut caller, mut lost) = (None, std::collections::BTreeSet::new());
        let mut buffer = vec![0; 65_536];
        while let Ok((count, from)) = wall.recv_from(&mut buffer).await {
            let bytes = &buffer[..count];
            if from == there {
                wall.send_to(bytes, caller.unwrap()).await.unwrap();
                continue;
            }
            caller = Some(from);
            let method = Message::read(bytes).unwrap().method().to_owned();
            if !lost.insert(method) {
                wall.send_to(bytes, there).await.unwrap();
            }
        }
    });
    let outcome = call(address, Link::Udp, &plan(None)).await;
    // INVITE, ACK and BYE; the lost ACK brings the 200 again.
    assert!(matches!(outcome.end, End::HungUp), "{outcome}");
    assert!(outcome.repeats >= 2, "{outcome}");
    assert!(outcome.ringing.unwrap() >= T1);
}

#[tokio::test]
async fn a_crowd_calls() {
    let phone = phone(ANSWER_SOON, None).await;
    let crowd = Crowd { count: 20, per_second: 200.0, spread_m: 100 };
    let mut outcomes = swarm(phone.address(), Link::Udp, plan(None), crowd);
    let mut numbers = std::collections::BTreeSet::new();
    while let Some((plan, outcome)) = outcomes.recv().await {
        assert!(outcome.is_as_asked(&plan), "{outcome}");
        assert!((plan.place.lat - 37.0558).abs() < 0.001);
        numbers.insert(outcome.from);
    }
    assert_eq!(numbers.len(), 20);
    assert_eq!(numbers.first().unwrap(), "+819000000001");
    assert_eq!(numbers.last().unwrap(), "+819000000020");
    assert_eq!(phone.calls().len(), 20);
}

#[tokio::test]
async fn an_invite_says_what_it_is_asked_to() {
    let wall = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let line = Line::connect(wall.local_addr().unwrap(), Link::Udp).await.unwrap();
    let plan = Plan { withheld: true, service: "sos.fire".to_owned(), ..Plan::default() };
    let handset = Handset::new(line, &plan, Instant::now());
    let invite = Message::read(&handset.invite.encode()).unwrap();
    assert_eq!(invite.header("To"), Some("<urn:service:sos.fire>"));
    assert_eq!(invite.header("Privacy"), Some("id"));
    assert_eq!(invite.header("P-Asserted-Identity"), Some("<tel:+819000000001>"));
    assert!(invite.header("From").unwrap().starts_with("<sip:anonymous@anonymous.invalid>;tag="));
    let body = str::from_utf8(invite.body()).unwrap();
    let id = invite.header("Geolocation").unwrap().replace("<cid:", "Content-ID: <");
    assert!(body.contains(&id), "{body}");
    let length: usize = invite.header("Content-Length").unwrap().parse().unwrap();
    assert_eq!(length, invite.body().len());
}
