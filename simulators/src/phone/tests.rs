use std::net::Ipv4Addr;

use super::*;

#[tokio::test]
async fn what_a_phone_does_not_know_it_says() {
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    let phone = Phone::start(any, Manner::RingOn, None).await.unwrap();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.connect(phone.address()).await.unwrap();
    for (method, status) in [("OPTIONS", 200), ("BYE", 481), ("CANCEL", 481), ("PUBLISH", 501)] {
        let request = Message::request(method, "sip:desk1@127.0.0.1")
            .with("Via", "SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bKx")
            .with("To", "<sip:desk1@127.0.0.1>")
            .with("CSeq", format_args!("7 {method}"))
            .with("Call-ID", method);
        // Rubbish before it is passed over.
        socket.send(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        socket.send(&request.encode()).await.unwrap();
        let mut buffer = vec![0; 2_000];
        let count = socket.recv(&mut buffer).await.unwrap();
        let response = Message::read(&buffer[..count]).unwrap();
        assert_eq!((response.status(), response.method()), (Some(status), method));
        assert_eq!(response.parameter("Via", "received"), Some("127.0.0.1"));
    }
}
