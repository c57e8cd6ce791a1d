//! Our caller and our phone with programs of others, and with the house's own endpoint between them.
//!
//! sipp is Debian's `sip-tester`; without it, or without the shared folder that holds its scenarios,
//! a test says so and is skipped.

#[cfg(test)]
mod exchange;
#[cfg(test)]
#[path = "../../../tests/house/sipp.rs"]
mod sipp;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::path::Path;
    use std::time::Duration;

    use hansho_simulators::caller::{Crowd, End, Plan, call, swarm};
    use hansho_simulators::devices::sip::{Place, Shape};
    use hansho_simulators::pendant::Link;
    use hansho_simulators::phone::{Manner, Phone, Stage};

    use crate::exchange::{Exchange, Seats};
    use crate::sipp::Sipp;

    const TEL: &str = "+819000000001";
    const LINKS: [Link; 2] = [Link::Udp, Link::Tcp];
    const SOON: Manner = Manner::Answer(Duration::from_millis(50));

    fn any() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    async fn phone(manner: Manner) -> Phone {
        Phone::start(any(), manner, None).await.unwrap()
    }

    fn short(hang_up_after: Option<u64>) -> Plan {
        let hang_up_after = hang_up_after.map(Duration::from_millis);
        Plan { hang_up_after, talk: Duration::from_millis(100), ..Plan::default() }
    }

    #[tokio::test]
    async fn a_caller_reaches_a_desks_phone_through_the_house() {
        for (link, to_phone) in LINKS.into_iter().zip([Link::Tcp, Link::Udp]) {
            let mut phone = phone(SOON).await;
            let house = Exchange::start(Seats::One(phone.address(), to_phone)).await;
            let outcome = call(house.address(), link, &short(None)).await;
            assert!(matches!(outcome.end, End::HungUp), "{link:?}: {outcome}");
            assert_eq!(outcome.repeats, 0, "{link:?}: {outcome}");
            while phone.calls().values().next() != Some(&Stage::HungUpThere) {
                phone.next().await.unwrap();
            }
            assert_eq!(house.facts(), ["offered", "connected", "ended"]);
        }
    }

    #[tokio::test]
    async fn a_desk_hangs_up() {
        let phone = Phone::start(any(), SOON, Some(Duration::from_millis(50))).await.unwrap();
        let house = Exchange::start(Seats::One(phone.address(), Link::Udp)).await;
        let plan = Plan { talk: Duration::from_secs(30), ..Plan::default() };
        for link in LINKS {
            let outcome = call(house.address(), link, &plan).await;
            assert!(matches!(outcome.end, End::HungUpThere), "{link:?}: {outcome}");
        }
    }

    #[tokio::test]
    async fn whoever_hangs_up_early_has_abandoned_the_call() {
        for link in LINKS {
            let house = Exchange::start(Seats::None).await;
            // At once, while it is not durable yet, and after it has rung.
            for after in [0, 200] {
                let outcome = call(house.address(), link, &short(Some(after))).await;
                assert!(matches!(outcome.end, End::Abandoned), "{link:?}: {outcome}");
            }
            assert_eq!(house.facts(), ["offered", "abandoned", "offered", "abandoned"]);
        }
    }

    #[tokio::test]
    async fn places_of_every_shape_ring() {
        let house = Exchange::start(Seats::None).await;
        for shape in
            [Shape::Circle, Shape::Point, Shape::Civic, Shape::None, Shape::Swapped, Shape::Broken]
        {
            let place = Place { shape, ..Place::default() };
            let outcome =
                call(house.address(), Link::Udp, &Plan { place, ..short(Some(20)) }).await;
            assert!(matches!(outcome.end, End::Abandoned), "{shape:?}: {outcome}");
        }
        let places = house.places();
        assert_eq!(places, ["circle", "point", "in words", "none", "range", "xml"]);
    }

    #[tokio::test]
    async fn a_crowd_is_answered() {
        let phone = phone(SOON).await;
        let house = Exchange::start(Seats::One(phone.address(), Link::Udp)).await;
        let crowd = Crowd { count: 50, per_second: 100.0, spread_m: 50 };
        let mut outcomes = swarm(house.address(), Link::Udp, short(None), crowd);
        while let Some((plan, outcome)) = outcomes.recv().await {
            assert!(outcome.is_as_asked(&plan), "{outcome}");
        }
        let connected = house.facts().into_iter().filter(|fact| *fact == "connected").count();
        assert_eq!(connected, 50);
    }

    fn sipp() -> Option<Sipp> {
        Sipp::find(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
    }

    // sipp blocks its thread.
    #[tokio::test(flavor = "multi_thread")]
    async fn sipps_callers_are_content_with_our_phone() {
        let Some(sipp) = sipp() else { return };
        for link in LINKS {
            let phone = phone(SOON).await;
            sipp.call(phone.address(), link, "uac_answered_byvalue.xml", TEL);
            sipp.crowd(phone.address(), link);
            let phone = self::phone(Manner::RingOn).await;
            sipp.call(phone.address(), link, "uac_abandoned_cancel.xml", TEL);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sipps_phone_is_content_with_our_caller() {
        let Some(sipp) = sipp() else { return };
        for link in LINKS {
            let phone = sipp.phone(link, 1);
            let outcome = call(phone.address, link, &short(None)).await;
            assert!(matches!(outcome.end, End::HungUp), "{link:?}: {outcome}");
            phone.assert_content();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sipp_calls_sipp_through_the_house() {
        let Some(sipp) = sipp() else { return };
        for link in LINKS {
            let phone = sipp.phone(link, 22);
            let house = Exchange::start(Seats::One(phone.address, link)).await;
            sipp.call(house.address(), link, "uac_answered_byvalue.xml", TEL);
            sipp.call(house.address(), link, "uac_malformed_swapped.xml", TEL);
            sipp.crowd(house.address(), link);
            phone.assert_content();
            let house = Exchange::start(Seats::None).await;
            sipp.call(house.address(), link, "uac_abandoned_cancel.xml", TEL);
        }
    }
}
